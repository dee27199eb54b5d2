// Peak over a trailing window: earlier samples and a new one -> the samples that can still be a maximum.

export interface PeakSample {
  readonly atSeconds: number
  readonly value: number
}

/**
 * Adds a sample and drops what is older than the window or never can be the maximum again, so the first entry of the
 * result is the peak. `atSeconds` is of a clock that never steps.
 */
export function advancePeak(
  samples: readonly PeakSample[],
  sample: PeakSample,
  windowSeconds: number,
): readonly PeakSample[] {
  const oldest = sample.atSeconds - windowSeconds
  const rivals = samples.filter((old) => old.atSeconds > oldest && old.value > sample.value)
  return [...rivals, sample]
}
