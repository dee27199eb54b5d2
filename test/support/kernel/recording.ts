// A recorded dump: what was asked and the datagrams of the answer, one netlink message a line of hexadecimal digits in
// three groups (nlmsghdr, inet_diag_msg, attributes), so that a diff shows sockets.

import type { DumpQuestion, PortChoice } from '../../../src/kernel/diag-request.ts'

export interface RecordedDump {
  readonly question: DumpQuestion
  readonly choice: PortChoice
  /** Messages by datagram, in the kernel's order. */
  readonly datagrams: readonly (readonly string[])[]
}

const HEADER_BYTES = 16
const GROUP_ENDS = [16, 16 + 72]

/** Cuts by struct nlmsghdr's u32 length, padded to four bytes; apart from the product's decoder. */
export function renderDatagram(datagram: Uint8Array): string[] {
  const bytes = Buffer.from(datagram)
  const lines: string[] = []
  for (let at = 0; at < bytes.length; ) {
    const length = Math.ceil(bytes.readUInt32LE(at) / 4) * 4
    if (length < HEADER_BYTES) throw new Error(`Cannot cut a datagram at ${at}: length ${length}`)
    const message = bytes.subarray(at, at + length)
    const [header = 0, body = 0] = GROUP_ENDS
    const groups = [
      message.subarray(0, header),
      message.subarray(header, body),
      message.subarray(body),
    ]
    lines.push(
      groups
        .map((group) => group.toString('hex'))
        .join(' ')
        .trim(),
    )
    at += length
  }
  return lines
}

/** The bytes again, as the answer to the request of that sequence number. */
export function parseDatagram(lines: readonly string[], sequence: number): Uint8Array {
  return Buffer.concat(
    lines.map((line) => {
      const message = Buffer.from(line.replaceAll(' ', ''), 'hex')
      message.writeUInt32LE(sequence, 8)
      return message
    }),
  )
}
