// Addresses as four words, most significant first, IPv4 as ::ffff:a.b.c.d: tests on them, and their text.

import ipaddr from 'ipaddr.js'
import { joinHostPort } from '../host-port.ts'

export const V4_MAPPED = 0xffff

/** Whether the four words at `at` are an IPv4 address. */
export function isIpv4(words: Uint32Array, at: number): boolean {
  return words[at] === 0 && words[at + 1] === 0 && words[at + 2] === V4_MAPPED
}

/** 127.0.0.0/8, also when v4-mapped, or ::1. */
export function isLoopback(words: Uint32Array, at: number): boolean {
  if (words[at] !== 0 || words[at + 1] !== 0) return false
  const last = words[at + 3] ?? 0
  return words[at + 2] === V4_MAPPED ? last >>> 24 === 127 : words[at + 2] === 0 && last === 1
}

/** The address in its usual text, IPv6 as RFC 5952 writes it. */
export function renderAddress(words: Uint32Array, at: number): string {
  if (isIpv4(words, at)) return renderIpv4(words[at + 3] ?? 0)
  const groups: number[] = []
  for (let word = 0; word < 4; word++) {
    const value = words[at + word] ?? 0
    groups.push(value >>> 16, value & 0xffff)
  }
  return new ipaddr.IPv6(groups).toRFC5952String()
}

/** The text of an IPv4 address that stands in one word. */
export function renderIpv4(word: number): string {
  return `${word >>> 24}.${(word >>> 16) & 0xff}.${(word >>> 8) & 0xff}.${word & 0xff}`
}

/** `address:port`, IPv6 in brackets. */
export function renderEndpoint(words: Uint32Array, at: number, port: number): string {
  return joinHostPort({ host: renderAddress(words, at), port })
}

/** The four words of an address in any usual text; undefined where it is none. */
export function parseAddress(text: string): readonly number[] | undefined {
  if (!ipaddr.isValid(text)) return undefined
  const address = ipaddr.parse(text)
  const v6 = address instanceof ipaddr.IPv4 ? address.toIPv4MappedAddress() : address
  const { parts } = v6 as ipaddr.IPv6
  return [0, 2, 4, 6].map((at) => (((parts[at] ?? 0) << 16) | (parts[at + 1] ?? 0)) >>> 0)
}

/** The reverse of renderEndpoint(); undefined where the text is no endpoint. */
export function parseEndpoint(
  text: string,
): { readonly address: readonly number[]; readonly port: number } | undefined {
  const match = /^\[?([^\]]*?)\]?:(\d{1,5})$/.exec(text)
  const address = parseAddress(match?.[1] ?? '')
  return address === undefined ? undefined : { address, port: Number(match?.[2]) }
}
