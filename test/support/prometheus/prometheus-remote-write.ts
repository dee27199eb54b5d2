// Series in, requests of Prometheus' remote write 1.0 out: protobuf (prometheus/prompb/remote.proto) in one literal of snappy's
// block format. The bytes are built in one reused buffer, since a fleet is gigabytes of them.

export interface BackfillSeries {
  /** With __name__. */
  readonly labels: Readonly<Record<string, string>>
  /** The value at step 0, 1, ...; undefined where there is no sample. */
  valueAt(step: number): number | undefined
}

export interface Steps {
  readonly startSeconds: number
  readonly stepSeconds: number
  readonly count: number
}

/** Room for one series of the longest kind; a request is sent when less is left. */
const MARGIN_BYTES = 64 * 1024
const REQUEST_BYTES = 3 * 1024 * 1024
/** At once, so that encoding and ingesting overlap. */
const REQUESTS_IN_FLIGHT = 3

/** Writes every series, all of its samples at once; gives how many series and samples were written. */
export async function writeSeries(
  url: string,
  series: Iterable<BackfillSeries>,
  steps: Steps,
): Promise<{ readonly series: number; readonly samples: number }> {
  const encoder = createEncoder(steps)
  const inFlight = new Set<Promise<void>>()
  const written = { series: 0, samples: 0 }
  for (const one of series) {
    const samples = encoder.add(one)
    if (samples > 0) written.series++
    written.samples += samples
    if (encoder.size() < REQUEST_BYTES) continue
    const sent: Promise<void> = send(url, encoder.take()).finally(() => inFlight.delete(sent))
    inFlight.add(sent)
    if (inFlight.size >= REQUESTS_IN_FLIGHT) await Promise.race(inFlight)
  }
  await Promise.all([...inFlight, send(url, encoder.take())])
  return written
}

async function send(url: string, body: Uint8Array<ArrayBuffer>): Promise<void> {
  const response = await fetch(`${url}/api/v1/write`, {
    method: 'POST',
    headers: {
      'content-encoding': 'snappy',
      'content-type': 'application/x-protobuf',
      'x-prometheus-remote-write-version': '0.1.0',
    },
    body,
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`Prometheus refused samples, ${response.status}: ${text}`)
}

/** One request after another: add() until size() is enough, then take(). */
export function createEncoder(steps: Steps) {
  const timestamps = Array.from({ length: steps.count }, (_, step) =>
    encodeVarint((steps.startSeconds + step * steps.stepSeconds) * 1000),
  )
  // Sample: 0x12 length {0x09 value f64, 0x10 timestamp varint}; all alike but for the value, so that a copy will do.
  const samples = timestamps.map((timestamp) =>
    Buffer.concat([
      Buffer.from([0x12, 1 + 8 + 1 + timestamp.length, 0x09, 0, 0, 0, 0, 0, 0, 0, 0, 0x10]),
      timestamp,
    ]),
  )
  const sampleBytes = samples[0]?.length ?? 0
  const template = Buffer.concat(samples)
  const buffer = new Uint8Array(REQUEST_BYTES + MARGIN_BYTES)
  const view = new DataView(buffer.buffer)
  let end = 0

  return {
    size: () => end,

    /** Gives the number of samples; a series without any is left out. */
    add({ labels, valueAt }: BackfillSeries): number {
      const encodedLabels = encodeLabels(labels)
      const start = end
      // Room for the tag and the longest length, which is known only in the end.
      const body = start + 1 + LENGTH_BYTES
      if (body + encodedLabels.length + template.length > buffer.length) {
        throw new Error('Cannot encode a series this long')
      }
      buffer.set(encodedLabels, body)
      const first = body + encodedLabels.length
      buffer.set(template, first)
      let at = first
      for (let step = 0; step < steps.count; step++) {
        const value = valueAt(step)
        if (value === undefined) continue
        // Behind a gap the samples of the template move up.
        const from = first + step * sampleBytes
        if (at !== from) buffer.copyWithin(at, from, from + sampleBytes)
        view.setFloat64(at + VALUE_OFFSET, value, true)
        at += sampleBytes
      }
      if (at === first) return 0
      // A length may be written in more bytes than it needs.
      buffer[start] = 0x0a
      writePaddedLength(buffer, start + 1, at - body)
      end = at
      return (at - first) / sampleBytes
    },

    /** The body of the request; the encoder is empty again. */
    take(): Uint8Array<ArrayBuffer> {
      // Snappy: the length as a varint, then one literal with its length - 1 in four bytes.
      const head = encodeVarint(end)
      const body = new Uint8Array(head.length + 5 + end)
      body.set(head, 0)
      body[head.length] = 63 << 2
      new DataView(body.buffer).setUint32(head.length + 1, end - 1, true)
      body.set(buffer.subarray(0, end), head.length + 5)
      end = 0
      return body
    },
  }
}

const LENGTH_BYTES = 3
/** Within a sample. */
const VALUE_OFFSET = 3

function writePaddedLength(buffer: Uint8Array, at: number, length: number): void {
  buffer[at] = (length & 0x7f) | 0x80
  buffer[at + 1] = ((length >> 7) & 0x7f) | 0x80
  buffer[at + 2] = length >> 14
}

// TimeSeries: 0x0a Label {0x0a name, 0x12 value}, sorted by name.
function encodeLabels(labels: Readonly<Record<string, string>>): Buffer {
  const parts: Buffer[] = []
  for (const name of Object.keys(labels).sort()) {
    const label = Buffer.concat([encodeText(0x0a, name), encodeText(0x12, labels[name] ?? '')])
    parts.push(Buffer.from([0x0a]), encodeVarint(label.length), label)
  }
  return Buffer.concat(parts)
}

function encodeText(tag: number, text: string): Buffer {
  const bytes = Buffer.from(text)
  return Buffer.concat([Buffer.from([tag]), encodeVarint(bytes.length), bytes])
}

/** LEB128 of an integer up to 2^53. */
export function encodeVarint(value: number): Buffer {
  const bytes: number[] = []
  let rest = value
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80)
    rest = Math.floor(rest / 0x80)
  }
  bytes.push(rest)
  return Buffer.from(bytes)
}
