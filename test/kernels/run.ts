// Boots Debian's kernels in qemu and lets the exporter prove itself on each: `npm run kernels`, or with names of Debian's
// releases, `npm run kernels -- bookworm`, and of the kernels that a release has besides, `trixie-backports=6.16`. Needs Debian or a relative of it, x86_64, qemu-system-x86 and the network. It
// installs nothing: packages are unpacked into a folder of their own. CI does not run it.

import { spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createArchive } from './cpio.ts'
import { MARK, type Row } from './row.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const CACHE = join(homedir(), '.cache/ephemeral-port-exporter/kernels')
/** bullseye has 5.10, bookworm 6.1, trixie 6.12; backports and sid have the newest. */
const RELEASES = ['bullseye', 'bookworm', 'trixie', 'trixie-backports', 'sid']
const MODULES = ['inet_diag', 'tcp_diag', 'udp_diag', 'vrf']
/** An emulated processor is some twenty times slower. */
const BOOT_MS = 3_600_000

function run(program: string, args: readonly string[], cwd = ROOT): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    cwd,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  })
  if (status === 0) return stdout
  throw new Error(`${program} ${args.join(' ')}: ${error?.message ?? stderr.slice(-500)}`)
}

/** Finds where this machine has its Debian packages from: other releases are there as well. */
function findArchive(): string {
  const format = '$(REPO_URI)'
  const listed = run('apt-get', ['indextargets', '--format', format, 'Identifier: Packages'])
  const archive = listed.split('\n').find((uri) => /\/debian\/?$/.test(uri))
  if (archive === undefined)
    throw new Error('Cannot find a Debian archive among the sources of apt')
  return archive
}

/** Downloads the newest kernel of a release, or of a series in it, once; returns the folder it is unpacked in. */
function fetchKernel(wanted: string): string {
  const [release = '', series] = wanted.split('=')
  const folder = join(CACHE, wanted)
  const unpacked = join(folder, 'unpacked')
  if (existsSync(unpacked)) return unpacked
  for (const name of ['state/lists/partial', 'cache/archives/partial']) {
    mkdirSync(join(folder, name), { recursive: true })
  }
  const list = join(folder, 'sources.list')
  const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg'
  writeFileSync(list, `deb [signed-by=${keyring}] ${findArchive()} ${release} main\n`)
  const settings = {
    'Dir::Etc::sourcelist': list,
    'Dir::Etc::sourceparts': '/dev/null',
    'Dir::State': join(folder, 'state'),
    'Dir::State::status': '/dev/null',
    'Dir::Cache': join(folder, 'cache'),
    'APT::Sandbox::User': 'root',
  }
  const options = Object.entries(settings).flatMap(([key, value]) => ['-o', `${key}=${value}`])
  run('apt-get', [...options, 'update'])
  const findNeeded = (name: string, pattern: RegExp) =>
    [...run('apt-cache', [...options, 'depends', name]).matchAll(pattern)].map(
      ([, needed = '']) => needed,
    )
  const images =
    series === undefined
      ? findNeeded('linux-image-cloud-amd64', /Depends: (linux-image-\S+)/g)
      : findNewest(run('apt-cache', [...options, 'pkgnames', `linux-image-${series}`]))
  // Newer ones have the kernel and its modules in packages of their own.
  const parts = images.flatMap((image) =>
    findNeeded(image, /Depends: (linux-(?:binary|modules)-\S+)/g),
  )
  run('apt-get', [...options, 'download', ...images, ...parts], folder)
  for (const archive of readdirSync(folder).filter((name) => name.endsWith('.deb'))) {
    run('dpkg', ['-x', archive, 'unpacked'], folder)
  }
  return unpacked
}

/** The newest of these packages for virtual machines, which have the smallest kernels. */
function findNewest(names: string): string[] {
  const images = names.split('\n').filter((name) => name.endsWith('-cloud-amd64'))
  const newest = images
    .toSorted((left, right) => left.localeCompare(right, 'en', { numeric: true }))
    .at(-1)
  if (newest === undefined) throw new Error('The release has no such kernel')
  return [newest]
}

function findFile(folder: string, pattern: RegExp): string {
  const found = readdirSync(folder, { recursive: true, encoding: 'utf8' }).find((name) =>
    pattern.test(`/${name}`),
  )
  if (found === undefined) throw new Error(`Nothing in ${folder} is called ${pattern.source}`)
  return join(folder, found)
}

/** The program and the test as JavaScript, and what they need: node, its libraries and the production dependencies. */
function buildApp(folder: string): void {
  run('npx', ['tsc', '--noEmit', 'false', '--rootDir', '.', '--outDir', join(folder, 'app')])
  run('npm', ['run', '--silent', 'build'])
  cpSync(join(ROOT, 'dist'), join(folder, 'app/dist'), { recursive: true })
  cpSync(join(ROOT, 'package.json'), join(folder, 'app/package.json'))
}

function buildInitramfs(path: string, app: string, kernel: string): void {
  const archive = createArchive(path)
  for (const name of ['proc', 'sys', 'tmp']) archive.addDirectory(name)
  archive.addDevice('dev/console', 5, 1)
  archive.addDevice('dev/null', 1, 3)
  archive.add('bin/node', process.execPath)
  for (const [, library = ''] of run('ldd', [process.execPath]).matchAll(/(\/\S+) \(0x/g)) {
    archive.add(library.slice(1), library)
  }
  archive.add('app', join(app, 'app'))
  for (const dependency of run('npm', ['ls', '--omit=dev', '--all', '--parseable'])
    .trim()
    .split('\n')
    .slice(1)) {
    archive.add(join('app', relative(ROOT, dependency)), dependency)
  }
  for (const module of MODULES) {
    const file = findFile(kernel, new RegExp(`/${module}\\.ko(\\.xz)?$`))
    if (file.endsWith('.xz')) run('xz', ['-d', file])
    archive.add(`modules/${module}.ko`, file.replace(/\.xz$/, ''))
  }
  archive.close()
}

function boot(release: string, app: string): Row {
  const kernel = fetchKernel(release)
  const initramfs = join(app, `${release}.cpio`)
  buildInitramfs(initramfs, app, kernel)
  const { stdout, stderr } = spawnSync(
    'qemu-system-x86_64',
    [
      ...['-accel', 'tcg,tb-size=1024', '-cpu', 'max', '-smp', '1', '-m', '2048'],
      // Its clock counts instructions, so that no deadline passes because this machine is busy.
      ...['-icount', 'shift=1,sleep=off'],
      ...['-nographic', '-no-reboot', '-nic', 'none'],
      ...['-kernel', findFile(kernel, /\/vmlinuz[^/]*$/), '-initrd', initramfs],
      '-append',
      'console=ttyS0 quiet loglevel=1 panic=-1 rdinit=/bin/node -- /app/test/kernels/guest.js',
    ],
    { encoding: 'utf8', timeout: BOOT_MS, stdio: ['ignore', 'pipe', 'pipe'] },
  )
  const line = stdout.split('\n').find((one) => one.startsWith(MARK))
  if (line === undefined)
    throw new Error(`${release} said nothing: ${stderr}${stdout.slice(-2000)}`)
  return JSON.parse(line.slice(MARK.length))
}

/** What is not as docs/kernels.md says. */
function findWrong({
  release,
  problem,
  neighbours,
  outcomes,
  leaks,
  vrfs,
}: Row): readonly string[] {
  const [before, after] = neighbours
  const wrong = problem === undefined ? [] : [problem]
  if (before?.range !== 'sysctl' || before.reader !== 'procfs' || before.available !== 0) {
    wrong.push('without tcp_diag the neighbour is not read from inside')
  }
  if (after?.reader !== 'netlink') wrong.push('a later tcp_diag is not noticed')
  for (const one of outcomes) {
    if (one.with !== one.granted) wrong.push(`${one.history}: with bind buckets ${one.with}`)
    const { without, uncertainWithout = without, granted } = one
    const isBounded = without >= granted && without - uncertainWithout <= granted
    const isSure = one.exactnessWithout === 'exact' && without !== granted
    if (!isBounded || isSure) wrong.push(`${one.history}: without bind buckets ${without}`)
  }
  for (const { bound, bindAvailable, connectAvailable, granted, ...leak } of leaks) {
    const { severity, exactness, risk } = leak
    if (exactness !== 'exact' && !['note', 'warning', 'critical'].includes(severity)) {
      wrong.push(`${bound} idle bound sockets: status says ${severity}`)
    }
    const isRight = connectAvailable === granted && bindAvailable === granted
    // Before 6.1.32 the probe cannot test ports: no more than a bound is told, and no low risk.
    const isBound = Math.min(connectAvailable, bindAvailable) >= granted && risk === undefined
    if (!isRight && !(Number.parseInt(release, 10) < 6 && isBound)) {
      wrong.push(`${bound} idle bound sockets: ${connectAvailable} for ${granted}`)
    }
  }
  for (const { buckets, available, exactness, granted, grantedInVrf } of vrfs) {
    const isBounded = available > 0 && available <= Math.min(granted, grantedInVrf)
    if (!isBounded || exactness === 'exact')
      wrong.push(`a VRF, buckets ${buckets}: ${available}, ${exactness}`)
  }
  return wrong
}

const releases = process.argv.length > 2 ? process.argv.slice(2) : RELEASES
const folder = mkdtempSync(join(tmpdir(), 'kernels-'))
try {
  buildApp(folder)
  for (const release of releases) {
    const row = boot(release, folder)
    console.log(`\nLinux ${row.release} (${release})`)
    for (const part of [row.neighbours, row.outcomes, row.leaks, row.vrfs]) console.table(part)
    console.log(row.log)
    const wrong = findWrong(row)
    for (const line of wrong) console.error(`WRONG: ${line}`)
    if (wrong.length > 0) process.exitCode = 1
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
