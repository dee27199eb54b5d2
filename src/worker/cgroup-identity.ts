// Whose a namespace is: the cgroups of its processes -> the pod or container that it is of, and whose hands those are
// in.

import { readProcFile } from '../kernel/proc-file.ts'
import { SourceError } from '../observation.ts'
import {
  type CgroupIdentity,
  findOutermostId,
  parseCgroupPath,
  parseProcCgroup,
} from '../owners/cgroup-path.ts'
import { type Identity, isForgeable } from './watched.ts'

/** The first processes of a namespace say whose it is; a helper of the runtime's may be among them for a moment. */
const PIDS_ASKED = 5

/** Fills in what the processes tell. That holds until they tell more. */
export function identifyByCgroups(identity: Identity, procfs: string): void {
  const found = findBelonging(procfs, identity.namespace.pids.slice(0, PIDS_ASKED))
  if (found === undefined) return
  const { podUid, containerId, outermostId } = found
  if (podUid !== undefined || identity.containerId === undefined) {
    identity.containerId = containerId ?? identity.containerId
    identity.outermostId = outermostId
  }
  identity.podUid = podUid
  // Anybody may call a cgroup of their own like that of a pod, whose name is not theirs to take.
  if (isForgeable({ identity })) identity.podUid = undefined
}

type Belonging = CgroupIdentity & Pick<Identity, 'outermostId'>

/** The first of those processes that is of a pod, else of a container, else of anybody. */
function findBelonging(procfs: string, pids: readonly number[]): Belonging | undefined {
  const belongings = pids.flatMap((pid) => readBelonging(`${procfs}/${pid}/cgroup`) ?? [])
  return (
    belongings.find(({ podUid }) => podUid !== undefined) ??
    belongings.find(({ containerId }) => containerId !== undefined) ??
    belongings.find(({ outermostId }) => outermostId !== undefined)
  )
}

function readBelonging(file: string): Belonging | undefined {
  try {
    const path = parseProcCgroup(readProcFile(file) ?? '')
    if (path === undefined) return undefined
    return { ...parseCgroupPath(path), outermostId: findOutermostId(path) }
  } catch (error) {
    if (error instanceof SourceError) return undefined
    throw error
  }
}
