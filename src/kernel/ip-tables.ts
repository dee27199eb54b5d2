// Whether the old iptables may translate in the namespace of the calling thread: the tables that it has there. Their
// rules are not read. iptables-nft has none of them.

import { SourceError } from '../observation.ts'
import { readProcFile } from './proc-file.ts'

/** One name a line (net/netfilter/x_tables.c:xt_table_seq_show). There is no such file without the module. */
const NAMES_PATH = '/proc/thread-self/net/ip_tables_names'

/**
 * Whether the namespace has the table nat of the old iptables, perhaps an empty one. Where the file is there and only
 * its owner, root of the namespace, may read it, that is not known: then it may.
 */
export function hasIptablesNat(read: typeof readProcFile = readProcFile): boolean {
  try {
    return (read(NAMES_PATH) ?? '').split('\n').includes('nat')
  } catch (error) {
    if (!(error instanceof SourceError)) throw error
    return true
  }
}
