// Which files of the production node_modules the image keeps: path -> verdict. Pure; tree.ts applies it.

export interface Target {
  readonly cpu: 'x64' | 'arm64'
  readonly libc: 'glibc' | 'musl'
}

/** Folders at the root of a package which nothing at run time reads. Deeper ones may be code: yaml has dist/doc. */
const IDLE_FOLDERS = /^(\.github|__tests__|bench|benchmarks?|docs?|examples?|fixtures|man|tests?)$/
const CODE = /\.([cm]?js|json|node)$/
const TERMS = /^(authors?|copying|licen[cs]es?|notice)([.-]|$)/i
/** Of single packages: what only a compiler or a browser reads. */
const IDLE_FILES: Readonly<Record<string, RegExp>> = {
  koffi: /^(cnoke\.cjs|lib\/|vendor\/)/,
  yaml: /^browser\//,
}

/** `path` is relative to node_modules, with slashes: `yaml/dist/doc/Document.js`, `a/node_modules/@b/c/index.js`. */
export function isKept(path: string, target: Target): boolean {
  const { name, inside } = splitPackage(path)
  const folders = inside.split('/').slice(0, -1)
  const file = inside.slice(inside.lastIndexOf('/') + 1)
  // .bin and .package-lock.json are npm's own.
  if (name.startsWith('.')) return false
  if (TERMS.test(file)) return true
  if (IDLE_FOLDERS.test(folders[0] ?? '') || IDLE_FILES[name]?.test(inside)) return false
  if (file.endsWith('.node')) return isOwnBinary(inside, target)
  return CODE.test(file)
}

// @koromix/koffi-linux-x64 carries linux_x64/koffi.node for glibc and musl_x64/koffi.node.
function isOwnBinary(inside: string, { cpu, libc }: Target): boolean {
  return inside.startsWith(`${libc === 'glibc' ? 'linux' : 'musl'}_${cpu}/`)
}

function splitPackage(path: string): { readonly name: string; readonly inside: string } {
  const nested = path.lastIndexOf('node_modules/')
  const parts = (nested < 0 ? path : path.slice(nested + 'node_modules/'.length)).split('/')
  const words = parts[0]?.startsWith('@') ? 2 : 1
  return { name: parts.slice(0, words).join('/'), inside: parts.slice(words).join('/') }
}
