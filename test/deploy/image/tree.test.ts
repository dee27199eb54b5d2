import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { checkLibrary, listFiles, measureTree, renderManifest } from '../../../deploy/image/tree.ts'

function withTree<T>(files: Readonly<Record<string, string>>, use: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'tree-'))
  try {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(join(folder, path, '..'), { recursive: true })
      writeFileSync(join(folder, path), text)
    }
    return use(folder)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

describe('renderManifest()', () => {
  const manifest = {
    name: 'x',
    version: '1.2.3',
    type: 'module',
    scripts: { prepack: 'rm -rf /' },
    dependencies: { express: '5' },
    devDependencies: { tsx: '4' },
  }

  test('keeps what the program reads of it, and where it comes from', () => {
    expect(JSON.parse(renderManifest(manifest, 'abc123'))).toEqual({
      name: 'x',
      version: '1.2.3',
      type: 'module',
      gitHead: 'abc123',
    })
  })

  test('says nothing of the revision when it is not known', () => {
    expect(JSON.parse(renderManifest(manifest, undefined))).not.toHaveProperty('gitHead')
  })
})

describe('checkLibrary()', () => {
  const target = { cpu: 'arm64', libc: 'glibc' } as const

  test('is content with the library that asks the kernel', () => {
    const kept = ['koffi/index.js', '@koromix/koffi-linux-arm64/linux_arm64/koffi.node']
    expect(() => checkLibrary(kept, target)).not.toThrow()
  })

  test('refuses a tree that npm has left it out of', () => {
    expect(() => checkLibrary(['koffi/index.js'], target)).toThrow(
      'npm has installed no koffi for linux, arm64, glibc: could it be fetched?',
    )
  })
})

describe('measureTree()', () => {
  test('counts bytes by the program and by package, largest first', () => {
    const files = {
      'dist/main.js': '12345',
      'dist/a/b.js': '1',
      'package.json': '{}',
      'node_modules/big/index.js': '1234567890',
      'node_modules/@scope/one/index.js': '123',
      'node_modules/big/node_modules/nested/index.js': '12',
    }
    expect(withTree(files, measureTree)).toEqual({
      files: 6,
      bytes: 23,
      parts: [
        { part: 'node_modules/big', bytes: 12 },
        { part: 'dist', bytes: 6 },
        { part: 'node_modules/@scope/one', bytes: 3 },
        { part: 'package.json', bytes: 2 },
      ],
    })
  })

  test('lists files in order, without folders', () => {
    expect(withTree({ 'b/c': '', a: '', 'b/a': '' }, listFiles)).toEqual(['a', 'b/a', 'b/c'])
  })
})
