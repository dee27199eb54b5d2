// Containers that have names, not ids of 64 digits: a directory of a cgroup path and those above it -> the name that
// their users know. Pure. Sources of the paths stand with each.

export type NamedRuntime =
  | 'lxc'
  | 'nomad'
  | 'nspawn'
  | 'buildkit'
  | 'garden'
  | 'firecracker'
  | 'mesos'
  | 'slurm'
  | 'htcondor'
  | 'pbs'

export interface NamedContainer {
  readonly containerId: string
  readonly runtime: NamedRuntime
}

const UUID = '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}(?:[0-9a-f]{8})?'

/** What the end of the path must look like; the groups make the name. */
const rules: readonly (readonly [NamedRuntime, RegExp, (...groups: string[]) => string])[] = [
  // LXC 4 and later, LXD and Incus, whose projects stand before an underscore (lxc/cgroups/cgfsng.c: lxc.payload).
  ['lxc', /\/lxc\.payload[./]([^/]+)$/, (name) => name],
  // LXC of cgroup v1, and Proxmox, whose numbers are the names.
  ['lxc', /\/lxc\/([^/]+)$/, (name) => name],
  // The scope or, with cgroup v1, the directory of a task (nomad/client/lib/cgroupslib).
  [
    'nomad',
    new RegExp(`/nomad(?:\\.slice)?(?:/[a-z]+(?:\\.slice)?)?/(${UUID})\\.([^/]+?)(?:\\.scope)?$`),
    (allocation, task) => `${task}-${allocation.slice(0, 8)}`,
  ],
  // systemd-nspawn(1): the unit of `machinectl start`, and the scope that it registers by itself.
  ['nspawn', /\/machine\.slice\/systemd-nspawn@([^/]+)\.service$/, unescapeUnit],
  ['nspawn', /\/machine\.slice\/machine-(?!qemu|lxc|libpod)([^/]+)\.scope$/, unescapeUnit],
  // libvirt: machine-lxc\x2d<number>\x2d<name>.scope.
  ['lxc', /\/machine\.slice\/machine-lxc\\x2d\d+\\x2d([^/]+)\.scope$/, unescapeUnit],
  // A build step (moby/buildkit, identity.NewID()): nobody knows it by its 25 characters.
  [
    'buildkit',
    /[/:-](?:buildkit)[/:-]([a-z0-9]{25})(?:\.scope)?$/,
    (id) => `buildkit-${id.slice(0, 12)}`,
  ],
  // Cloud Foundry and Concourse; /good and /bad are how Guardian throttles.
  ['garden', new RegExp(`/garden(?:/(?:good|bad))?/(${UUID})$`), (handle) => handle],
  // The jailer of Firecracker: --id of up to 64 characters, below the name of the program.
  ['firecracker', /\/firecracker(?:-v[\w.-]+)?\/([A-Za-z0-9-]{1,64})$/, (id) => id],
  ['mesos', new RegExp(`/mesos/(${UUID})$`), (id) => id],
  // Jobs, with the name of the node in front where it has several slurmd (slurm.schedmd.com/cgroup_v2.html), and
  // before.
  ['slurm', /\/(?:[^/]+_)?slurmstepd\.scope\/(job_\d+)$/, (job) => job],
  ['slurm', /\/slurm(?:_[^/]+)?\/uid_\d+\/(job_\d+)$/, (job) => job],
  // The slot of a job, behind the directory that jobs run in (HTCondor's manual, "Cgroup-Based Process Tracking").
  // Every directory of htcondor/ is a job's, since its user may make cgroups below it. BASE_CGROUP gives others names.
  ['htcondor', /\/htcondor\/(?:[^/]*_)?((?:slot|data)\d+(?:_\d+)?(?:@[^/]+)?)$/, (slot) => slot],
  ['htcondor', /\/htcondor\/([^/]+)$/, (directory) => directory],
  ['htcondor', /\/condor_(?:[^/]*_)?(slot\d+(?:_\d+)?@[^/]+)$/, (slot) => slot],
  // OpenPBS's hook pbs_cgroups: `jobid` with cgroup v1, `jobs` with v2, and the id of the job.
  ['pbs', /\/pbs_jobs\.service\/(?:jobid|jobs)\/([^/]+)$/, (job) => job],
]
/** No rule looks at more directories. */
const MOST_PARTS = 4

/** The container whose directory is `parts[at]`; undefined where none of these runtimes made it. */
export function findNamedContainer(
  parts: readonly string[],
  at: number,
): NamedContainer | undefined {
  const end = `/${parts.slice(Math.max(0, at + 1 - MOST_PARTS), at + 1).join('/')}`
  for (const [runtime, pattern, name] of rules) {
    const groups = pattern.exec(end)?.slice(1)
    if (groups !== undefined) return { containerId: name(...groups), runtime }
  }
  return undefined
}

/** systemd.unit(5): `\x2d` stands for a dash; what would be no text stays as it is. */
function unescapeUnit(name: string): string {
  return name.replace(/\\x([2-7][0-9a-f])/g, (_, code: string) =>
    String.fromCharCode(parseInt(code, 16)),
  )
}
