// Namespaces that cannot be read: one finding for all that lack the same, and the right that would help. Pure.

import type { ReadErrorReason } from '../observation.ts'
import type { Namespace, Snapshot } from '../snapshot.ts'
import type { Finding } from './finding.ts'
import { renderCount } from './words.ts'

const why: Readonly<Record<ReadErrorReason, string>> = {
  permission: 'The exporter may not look into them.',
  vanished: '',
  malformed: 'What the kernel answered could not be understood.',
  timeout: 'No sample answers any more.',
  unsupported: 'This kernel, or this --source, cannot tell.',
  exhausted: 'The machine has no memory or descriptor left for the question.',
}

const fix: Readonly<Record<ReadErrorReason, string>> = {
  permission:
    'Give it CAP_SYS_ADMIN, and CAP_SYS_PTRACE for namespaces without a name in /run/netns; or let it look at its own only ' +
    'with --netns=self.',
  vanished: '',
  malformed: 'Try another --source.',
  timeout: 'Look at the log: the sampling thread may hang.',
  unsupported: 'Try another --source.',
  exhausted: 'Look at the memory and the descriptor limit of the machine.',
}

/** Where the source at work enters no namespace, no right helps: of those that do, netlink is the one to have. */
const ENTERS_NONE =
  'Use --source=auto and see in the log why netlink does not work; or let it look at its own only with --netns=self.'

/** A namespace that vanished between listing and reading is nothing to tell. */
export function findUnreadable({ namespaces }: Snapshot): readonly Finding[] {
  const byReason = new Map<ReadErrorReason, Namespace[]>()
  for (const namespace of namespaces) {
    const { failure, state } = namespace
    if (state !== undefined || failure === undefined || failure.reason === 'vanished') continue
    byReason.set(failure.reason, [...(byReason.get(failure.reason) ?? []), namespace])
  }
  const isEntering = namespaces.some(({ state }) => state?.entered)
  const nothingRead = namespaces.every(({ state }) => state === undefined)
  return [...byReason].map(([reason, unread]): Finding => {
    const example = unread[0]?.failure?.message ?? ''
    return {
      // What was never permitted is no alarm.
      severity: nothingRead ? 'critical' : reason === 'permission' ? 'note' : 'warning',
      topic: 'unreadable',
      namespaces: unread.map(({ netns }) => netns),
      what:
        reason === 'permission'
          ? 'cannot be read: a right is missing'
          : `cannot be read (${reason})`,
      why: [why[reason], example].filter((part) => part !== '').join(' '),
      fix: reason === 'permission' && !isEntering ? ENTERS_NONE : fix[reason],
      commands: [],
    }
  })
}

/** What the last sample left out, a sentence each; empty where it left out nothing. */
export function describeLeftOut({ leftOut }: Snapshot): readonly string[] {
  const { namespaces = 0, postponed = 0 } = leftOut ?? {}
  return [
    ...(namespaces > 0
      ? [
          `${renderCount(namespaces, 'namespace')} left out: more than --netns.max, or too many of one user or container`,
        ]
      : []),
    ...(postponed > 0
      ? [
          `${renderCount(postponed, 'namespace')} had to wait for the next sample: what is said of them is older`,
        ]
      : []),
  ]
}
