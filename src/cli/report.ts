// What the commands `status` and `doctor` print of a sample, and the exit status that goes with it. Pure.

import { doctorExitCode, renderDoctor, renderDoctorJson } from './doctor.ts'
import { renderStatus, renderStatusJson, type StatusView, statusExitCode } from './status.ts'
import type { Terminal } from './text.ts'

export interface ReportOptions {
  readonly command: 'status' | 'doctor'
  readonly json: boolean
}

/** Ends in a line break. */
export function renderReport(
  { command, json }: ReportOptions,
  view: StatusView,
  terminal: Terminal,
): string {
  const { snapshot, diagnosis } = view
  if (command === 'doctor') {
    return json ? renderDoctorJson(diagnosis) : renderDoctor(diagnosis, terminal)
  }
  return json ? renderStatusJson(snapshot, diagnosis) : renderStatus(view, terminal)
}

/** 0 healthy, 1 warning, 2 critical, 3 nothing could be read. */
export function reportExitCode(
  { command }: ReportOptions,
  { diagnosis }: StatusView,
): 0 | 1 | 2 | 3 {
  return command === 'doctor' ? doctorExitCode(diagnosis) : statusExitCode(diagnosis)
}

/**
 * Who has sampled where no exporter answers this command, in words for the first line, and why, where one is there
 * that turns it away. `complaint`: the same for what prints no such line.
 */
export function describeSampling(
  { command, json }: ReportOptions,
  refusal: string | undefined,
): { readonly origin: string; readonly complaint: string | undefined } {
  const origin = 'sampled by this command'
  if (refusal === undefined) return { origin, complaint: undefined }
  const isSaid = command === 'status' && !json
  const complaint = isSaid ? undefined : `Sampling by itself, since ${refusal}`
  return { origin: `${origin}, since ${refusal}`, complaint }
}
