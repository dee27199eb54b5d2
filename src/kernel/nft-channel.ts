// The rules of nf_tables over NETLINK_NETFILTER: which ports and addresses source NAT may take. Needs CAP_NET_ADMIN.
// Rules of iptables-nft are among them, rules of the old iptables (iptable_nat) are not.

import { type NatRule, SourceError } from '../observation.ts'
import { encodeNfgenmsg } from './conntrack-request.ts'
import { encodeMessage, NLM_F_REQUEST_DUMP } from './netlink.ts'
import { dumpDatagrams, dumpUndisturbed, type NetlinkChannel } from './netlink-channel.ts'
import { decodeGeneration, decodeRules, NFT_MSG } from './nft-answer.ts'

const NLM_F_REQUEST = 1
const AF_UNSPEC = 0
const SEQUENCE = { generation: 0x4e01, rules: 0x4e02 } as const
/** Each NAT address is compared with all of them. */
const MOST_NAT_RULES = 4096
/**
 * Rules of all kinds. The owner of a namespace may make millions, and the kernel walks all earlier ones again for each
 * datagram (net/netfilter/nf_tables_api.c:__nf_tables_dump_rules).
 */
const MOST_RULES = 50_000
/** All attempts together. */
const RULES_TIMEOUT_MS = 5000

/** The number of the present set of rules. Throws SourceError where there is no nf_tables. */
export function readRulesGeneration(channel: NetlinkChannel): number {
  const request = encodeMessage(
    { type: NFT_MSG.getGeneration, flags: NLM_F_REQUEST, sequence: SEQUENCE.generation },
    encodeNfgenmsg(AF_UNSPEC),
  )
  let generation = 0
  const decode = (datagram: Uint8Array) =>
    decodeGeneration(datagram, SEQUENCE.generation, (found) => {
      generation = found
    })
  for (const _ of dumpDatagrams(channel, { request, what: 'nf_tables', decode }));
  return generation
}

export interface NatRules {
  /** The rules that translate IPv4 sources. */
  readonly rules: readonly NatRule[]
  /** Whether some rule may translate IPv6 sources. */
  readonly ipv6: boolean
}

/**
 * The rules of the namespace. Throws DecodeError and SourceError, whose reason is `unsupported` where there are too
 * many rules, or too many that translate sources.
 */
export function readNatRules(open: () => NetlinkChannel): NatRules {
  return dumpUndisturbed(open, dumpRules, RULES_TIMEOUT_MS)
}

function dumpRules(channel: NetlinkChannel, limitMs: number): NatRules {
  const rules: NatRule[] = []
  let walked = 0
  let ipv6 = false
  const request = encodeMessage(
    { type: NFT_MSG.getRule, flags: NLM_F_REQUEST_DUMP, sequence: SEQUENCE.rules },
    encodeNfgenmsg(AF_UNSPEC),
  )
  const decode = (datagram: Uint8Array) =>
    decodeRules(datagram, SEQUENCE.rules, (rule, translatesIpv6) => {
      walked++
      if (translatesIpv6) ipv6 = true
      if (rule !== undefined) rules.push(rule)
    })
  for (const _ of dumpDatagrams(channel, { request, what: 'nf_tables rules', limitMs, decode })) {
    if (rules.length > MOST_NAT_RULES) throw tooMany(`${MOST_NAT_RULES} rules of NAT`)
    if (walked > MOST_RULES) throw tooMany(`${MOST_RULES} rules`)
  }
  return { rules, ipv6 }
}

function tooMany(what: string): SourceError {
  return new SourceError('unsupported', `Cannot read more than ${what}`)
}
