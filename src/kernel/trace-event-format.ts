// The kernel's description of its records: text of events/.../format and events/header_page -> where in a record and in
// a page of the ring what stands. Mirrors kernel/trace/trace_events.c:f_show and
// ring_buffer.c:ring_buffer_print_page_header. Pure. Kernels differ in the offsets (the first had no `family`, and one
// byte of `protocol`) and in the text of an event, in which moreover a thread may call itself anything, newlines
// included: so the binary form is read, by this description.

import { DecodeError } from '../observation.ts'

/** Offsets from the start of a record. */
export interface EventFormat {
  readonly id: number
  readonly typeAt: number
  readonly pidAt: number
  readonly remotePortAt: number
  readonly localAddressAt: number
  readonly remoteAddressAt: number
  /** Bytes up to the end of the last of these fields. */
  readonly bytes: number
}

export interface PageFormat {
  readonly commitAt: number
  readonly dataAt: number
  readonly dataBytes: number
  /** Size of the whole page: what one read(2) must ask for. */
  readonly bytes: number
}

interface Field {
  readonly at: number
  readonly bytes: number
}

/** A page of the largest kind: 64 KiB on some arm64 kernels, and sub-buffers can be set larger. */
const LARGEST_PAGE_BYTES = 1 << 20

/** Throws DecodeError unless the format has every field that is needed, in the size that is known. */
export function parseEventFormat(text: string): EventFormat {
  const what = 'the format of inet_sock_set_state'
  const id = /^ID: (\d{1,5})$/m.exec(text)?.[1]
  if (id === undefined) throw new DecodeError(`Cannot parse ${what}: it has no ID`, 0)
  const fields = parseFields(text)
  const find = (name: string, bytes: number) => findField(fields, { what, name, bytes }).at
  const format = {
    id: Number(id),
    typeAt: find('common_type', 2),
    pidAt: find('common_pid', 4),
    remotePortAt: find('dport', 2),
    // IPv4 is in these too, as ::ffff:a.b.c.d (include/trace/events/sock.h).
    localAddressAt: find('saddr_v6', 16),
    remoteAddressAt: find('daddr_v6', 16),
  }
  const { typeAt, pidAt, remotePortAt, localAddressAt, remoteAddressAt } = format
  const bytes = Math.max(
    typeAt + 2,
    pidAt + 4,
    remotePortAt + 2,
    localAddressAt + 16,
    remoteAddressAt + 16,
  )
  return { ...format, bytes }
}

export function parsePageFormat(text: string): PageFormat {
  const what = 'events/header_page'
  const fields = parseFields(text)
  const commit = findField(fields, { what, name: 'commit', bytes: undefined })
  const data = findField(fields, { what, name: 'data', bytes: undefined })
  const bytes = data.at + data.bytes
  if (commit.bytes < 4 || commit.at + commit.bytes > data.at || bytes > LARGEST_PAGE_BYTES) {
    throw new DecodeError(`Cannot parse ${what}: its fields do not fit into a page`, 0)
  }
  return { commitAt: commit.at, dataAt: data.at, dataBytes: data.bytes, bytes }
}

function parseFields(text: string): ReadonlyMap<string, Field> {
  const fields = new Map<string, Field>()
  const line = /^\s*field:[^;]*?(\w+)(?:\[\d*\])?;\s*offset:(\d{1,7});\s*size:(\d{1,7});/gm
  for (const [, name = '', at, bytes] of text.matchAll(line)) {
    fields.set(name, { at: Number(at), bytes: Number(bytes) })
  }
  return fields
}

function findField(
  fields: ReadonlyMap<string, Field>,
  { what, name, bytes }: { what: string; name: string; bytes: number | undefined },
): Field {
  const field = fields.get(name)
  if (field === undefined) throw new DecodeError(`Cannot parse ${what}: no field "${name}"`, 0)
  if (bytes !== undefined && field.bytes !== bytes) {
    const sizes = `is ${field.bytes} bytes long, expected ${bytes}`
    throw new DecodeError(`Cannot parse ${what}: the field "${name}" ${sizes}`, 0)
  }
  return field
}
