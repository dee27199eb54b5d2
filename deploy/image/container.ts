// Starts a file tree as a container runtime would, without one: namespaces, mounts, user and capabilities, by unshare(1)
// and capsh(1). Seccomp and AppArmor profiles are not applied.

export interface ContainerMount {
  /** On the machine; a folder. */
  readonly source: string
  /** In the container; made when missing. */
  readonly path: string
  readonly readOnly: boolean
  /** What is mounted below `source` later appears too, as with mountPropagation: HostToContainer. */
  readonly follows: boolean
}

export interface Container {
  /** The file tree. NB: empty folders for the mounts are made in it. */
  readonly rootfs: string
  /** The program and its arguments; paths are those in the container. */
  readonly command: readonly string[]
  readonly environment: Readonly<Record<string, string>>
  readonly uid: number
  readonly gid: number
  /** Everything that root may still do, like `SYS_ADMIN`; others have nothing, as Kubernetes gives no ambient capability. */
  readonly capabilities: readonly string[]
  readonly noNewPrivileges: boolean
  readonly readOnlyRoot: boolean
  readonly hostNetwork: boolean
  readonly mounts: readonly ContainerMount[]
  /** Shell commands that furnish the machine first, seen by this container alone. */
  readonly furnish?: readonly string[]
}

/** All that Linux 6.x has, in the kernel's order: what is not in `capabilities` leaves the bounding set. */
const CAPABILITIES = [
  'chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable net_bind_service',
  'net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio sys_chroot sys_ptrace sys_pacct sys_admin',
  'sys_boot sys_nice sys_resource sys_time sys_tty_config mknod lease audit_write audit_control setfcap mac_override',
  'mac_admin syslog wake_alarm block_suspend audit_read perfmon bpf checkpoint_restore',
].flatMap((line) => line.split(' '))

/** The command line that runs it in the foreground. Killing its process group ends everything. */
export function renderContainerCommand(container: Container): string[] {
  const namespaces = [
    '--mount',
    '--propagation=slave',
    '--pid',
    '--fork',
    '--kill-child',
    '--ipc',
    '--uts',
  ]
  if (!container.hostNetwork) namespaces.push('--net')
  return ['unshare', ...namespaces, '--', 'sh', '-euc', renderSetup(container)]
}

/** NB: the root is made read-only last, and the process changes into it before it gives up the right to. */
function renderSetup(container: Container): string {
  const { rootfs, mounts, readOnlyRoot, furnish = [] } = container
  return [
    ...furnish,
    `mount --bind ${quote(rootfs)} ${quote(rootfs)}`,
    `cd ${quote(rootfs)}`,
    'mount -t proc -o nosuid,nodev,noexec proc proc',
    // Runtimes leave no sysctl writable.
    'mount --bind proc/sys proc/sys',
    'mount -o remount,bind,ro proc/sys',
    'mount -t sysfs -o ro,nosuid,nodev,noexec sysfs sys',
    'mount -t tmpfs -o nosuid,mode=755,size=64k tmpfs dev',
    'for device in null zero full random urandom; do : >dev/$device; mount --bind /dev/$device dev/$device; done',
    ...mounts.flatMap(renderMount),
    ...(readOnlyRoot ? ['mount -o remount,bind,ro .'] : []),
    `exec env -i ${renderEnvironment(container.environment)} ${renderEntry(container)}`,
  ].join('\n')
}

function renderMount({ source, path, readOnly, follows }: ContainerMount): string[] {
  const place = quote(`.${path}`)
  return [
    `mkdir -p ${place}`,
    `mount --rbind ${quote(source)} ${place}`,
    `mount --make-r${follows ? 'slave' : 'private'} ${place}`,
    // As with Kubernetes, this holds for the mount itself and not for those below it.
    ...(readOnly ? [`mount -o remount,bind,ro ${place}`] : []),
  ]
}

function renderEnvironment(environment: Readonly<Record<string, string>>): string {
  return Object.entries(environment)
    .map(([name, value]) => quote(`${name}=${value}`))
    .join(' ')
}

function renderEntry(container: Container): string {
  const [program = '', ...args] = container.command
  const kept = new Set(container.capabilities.map((name) => name.toLowerCase()))
  const unknown = [...kept].filter((name) => !CAPABILITIES.includes(name))
  if (unknown.length > 0)
    throw new Error(`Cannot keep the unknown capability ${unknown.join(', ')}`)
  const dropped = CAPABILITIES.filter((name) => !kept.has(name)).map((name) => `cap_${name}`)
  const options = [
    '--quiet',
    `--chroot=${container.rootfs}`,
    ...(dropped.length > 0 ? [`--drop=${dropped.join(',')}`] : []),
    `--groups=${container.gid}`,
    `--gid=${container.gid}`,
    `--uid=${container.uid}`,
    ...(container.noNewPrivileges ? ['--no-new-privs'] : []),
    `--shell=${program}`,
    '--',
    ...args,
  ]
  return ['/usr/sbin/capsh', ...options].map(quote).join(' ')
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}
