import { describe, expect, test } from 'vitest'
import { isKept } from '../../../deploy/image/prune.ts'

const glibc = { cpu: 'x64', libc: 'glibc' } as const

describe('isKept()', () => {
  test.each([
    'express/index.js',
    'express/package.json',
    'pino/lib/proto.js',
    'ipaddr.js/lib/ipaddr.js',
    'koffi/index.js',
    'koffi/src/koffi/index.js',
    'koffi/src/koffi/src/static.cjs',
    '@koromix/koffi-linux-x64/index.js',
    '@koromix/koffi-linux-x64/linux_x64/koffi.node',
    'a/node_modules/@b/c/index.mjs',
  ])('keeps code: %s', (path) => {
    expect(isKept(path, glibc)).toBe(true)
  })

  test.each([
    'express/LICENSE',
    'koffi/LICENSE.txt',
    'systeminformation/LICENSE.md',
    'qs/licence',
    'koffi/vendor/node-addon-api/LICENSE.md',
    'a/NOTICE',
  ])('keeps the terms of use: %s', (path) => {
    expect(isKept(path, glibc)).toBe(true)
  })

  test('keeps folders deep inside a package whatever they are called', () => {
    expect(isKept('yaml/dist/doc/Document.js', glibc)).toBe(true)
    expect(isKept('yaml/dist/test.js', glibc)).toBe(true)
  })

  test.each([
    '.bin/semver',
    '.package-lock.json',
    'pino/test/basic.test.js',
    'pino/docs/api.js',
    'a/node_modules/b/examples/one.js',
    '@opentelemetry/api/build/src/index.d.ts',
    '@opentelemetry/api/build/src/index.js.map',
    'express/History.md',
    'koffi/cnoke.cjs',
    'koffi/lib/native/base/base.cc',
    'koffi/src/koffi/src/ffi.cc',
    'koffi/vendor/node-addon-api/index.js',
    'yaml/browser/index.js',
  ])('drops what nothing reads at run time: %s', (path) => {
    expect(isKept(path, glibc)).toBe(false)
  })

  test('keeps the one binary of the target', () => {
    const binaries = ['linux_x64', 'musl_x64', 'linux_arm64', 'musl_arm64'].map(
      (folder) => `@koromix/koffi-linux-${folder.split('_')[1]}/${folder}/koffi.node`,
    )
    const keptFor = (cpu: 'x64' | 'arm64', libc: 'glibc' | 'musl') =>
      binaries.filter((path) => isKept(path, { cpu, libc }))
    expect(keptFor('x64', 'glibc')).toEqual([binaries[0]])
    expect(keptFor('x64', 'musl')).toEqual([binaries[1]])
    expect(keptFor('arm64', 'glibc')).toEqual([binaries[2]])
    expect(keptFor('arm64', 'musl')).toEqual([binaries[3]])
  })
})
