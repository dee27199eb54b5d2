// The rules of nf_tables over NETLINK_NETFILTER: which ports and addresses source NAT may take. Needs CAP_NET_ADMIN. Rules
// of iptables-nft are among them, rules of the old iptables (iptable_nat) are not.

import { type NatRule, SourceError } from '../observation.ts'
import { encodeNfgenmsg } from './conntrack-request.ts'
import { encodeMessage, NLM_F_REQUEST_DUMP } from './netlink.ts'
import { dumpDatagrams, type NetlinkChannel } from './netlink-channel.ts'
import { decodeGeneration, decodeRules, NFT_MSG } from './nft-answer.ts'

const NLM_F_REQUEST = 1
const AF_UNSPEC = 0
const SEQUENCE = { generation: 0x4e01, rules: 0x4e02 } as const
/** Each NAT address is compared with all of them. */
const MOST_RULES = 4096
/** A dump is interrupted when the rules change under it, which takes a moment. */
const RULES_ATTEMPTS = 3

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
  /** How many there are of all kinds: what reading them costs. */
  readonly walked: number
}

/** The rules of the namespace. Throws SourceError, also where too many translate sources, and DecodeError. */
export function readNatRules(channel: NetlinkChannel): NatRules {
  for (let attempt = 1; ; attempt++) {
    try {
      return dumpRules(channel, SEQUENCE.rules + attempt)
    } catch (error) {
      const interrupted = error instanceof SourceError && error.reason === 'timeout'
      if (!interrupted || attempt === RULES_ATTEMPTS) throw error
    }
  }
}

function dumpRules(channel: NetlinkChannel, sequence: number): NatRules {
  const rules: NatRule[] = []
  let walked = 0
  let ipv6 = false
  const request = encodeMessage(
    { type: NFT_MSG.getRule, flags: NLM_F_REQUEST_DUMP, sequence },
    encodeNfgenmsg(AF_UNSPEC),
  )
  const decode = (datagram: Uint8Array) =>
    decodeRules(datagram, sequence, (rule, translatesIpv6) => {
      walked++
      if (translatesIpv6) ipv6 = true
      if (rule !== undefined) rules.push(rule)
    })
  for (const _ of dumpDatagrams(channel, { request, what: 'nf_tables rules', decode })) {
    if (rules.length > MOST_RULES) {
      throw new SourceError('unsupported', `Cannot keep more than ${MOST_RULES} rules of NAT`)
    }
  }
  return { rules, ipv6, walked }
}
