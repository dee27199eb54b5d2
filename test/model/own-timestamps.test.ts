// Own timestamps, switched on and off while connections live: a TIME_WAIT follows what the sysctl was when its connection
// began, whenever it ends.

import { describe, expect, test } from 'vitest'
import { Host } from './timestamps-host.ts'

const exactly = (host: Host) => [host.truth, 0, 'exact']

describe('own timestamps', () => {
  test('that are switched on do not help connections that live already', () => {
    const host = new Host()
    host.own = 0
    host.look()
    host.connect(0, 90)
    host.lookAfter(5)
    host.own = 1
    host.lookAfter(5)
    host.connect(90, 10)
    host.wait(12)
    host.close()
    for (let at = 0; at < 10; at++) {
      expect(host.lookAfter(5)).toEqual([10, 0, 'exact'])
      expect(host.truth).toBe(10)
    }
    // What is made then has them.
    host.wait(20)
    host.connect(0, 90)
    host.look()
    host.wait(5)
    host.close()
    expect(host.lookAfter(5)).toEqual([100, 0, 'exact'])
  })

  test('that are switched on are not taken for those of the peer while connections live that have none', () => {
    for (const isMixed of [false, true]) {
      const host = new Host()
      host.canAsk = true
      host.own = 0
      host.look()
      host.connect(0, 80)
      host.lookAfter(5)
      host.own = 1
      host.lookAfter(5)
      host.connect(80, 20)
      host.lookAfter(5)
      host.close(1, isMixed ? 90 : 80)
      host.wait(5)
      const left = isMixed ? 10 : 20
      for (let at = 0; at < 8; at++) {
        expect(host.look()).toEqual([left, 0, 'exact'])
        expect(host.truth).toBe(left)
        host.wait(5)
      }
    }
  })

  test('say nothing of the peer where connections of another source began without them', () => {
    const host = new Host()
    host.canAsk = true
    host.own = 0
    host.look()
    host.connect(0, 20)
    host.lookAfter(5)
    host.own = 1
    host.lookAfter(5)
    host.connect(20, 60, 1, 2)
    host.lookAfter(5)
    host.close(1, 20)
    expect(host.lookAfter(5)[0]).toBe(80)
  })

  test('were off when connections began that ended before the first look, if all that live have none', () => {
    const host = new Host()
    host.canAsk = true
    host.own = 0
    host.connect(0, 60)
    host.close()
    host.connect(60, 5)
    host.own = 1
    expect(host.lookAfter(5)).toEqual([35, 0, 'inferred'])
    expect(host.truth).toBe(35)
    // What lives now and has some says that others may have had them, too.
    host.connect(65, 5)
    expect(host.lookAfter(5)).toEqual([90, 60, 'inferred'])
  })

  test('that were switched on before the first look neither', () => {
    const host = new Host()
    host.own = 0
    host.connect(0, 60)
    host.own = 1
    host.connect(60, 10)
    host.look()
    host.wait(5)
    host.close()
    expect(host.lookAfter(5)).toEqual([40, 0, 'exact'])
    expect(host.truth).toBe(40)
  })

  test('that were switched off are still those of connections that live', () => {
    const host = new Host()
    host.look()
    host.connect(0, 60)
    host.lookAfter(5)
    host.own = 0
    host.lookAfter(5)
    host.connect(60, 10)
    host.lookAfter(5)
    host.close()
    expect(host.lookAfter(5)).toEqual([90, 60, 'inferred'])
    expect(host.truth).toBe(90)
  })

  test('that were switched off while TIME_WAITs were there are as good', () => {
    const host = new Host()
    host.look()
    host.connect(0, 100)
    host.close()
    host.lookAfter(10)
    host.own = 0
    for (let at = 0; at < 4; at++) {
      expect(host.lookAfter(5)).toEqual([100, 100, 'inferred'])
      expect(host.truth).toBe(100)
    }
    expect(host.lookAfter(60)).toEqual(exactly(host))
    // Of what begins now none has any.
    host.connect(0, 30)
    host.close()
    expect(host.lookAfter(5)).toEqual([70, 0, 'exact'])
  })

  test('that are off at the first look may have been on: TIME_WAITs of that time are held, and never exact', () => {
    const host = new Host()
    host.own = 0
    host.connect(0, 30)
    host.close()
    expect(host.lookAfter(5)).toEqual([70, 0, 'inferred'])
    expect(host.lookAfter(5)).toEqual([70, 0, 'inferred'])
    host.wait(60)
    host.connect(0, 30)
    host.close()
    expect(host.lookAfter(5)).toEqual([70, 0, 'exact'])
  })

  test('that are switched off and on again are remembered', () => {
    const host = new Host()
    host.look()
    host.connect(0, 30)
    host.lookAfter(5)
    host.own = 0
    host.lookAfter(5)
    host.connect(30, 30, 2)
    host.lookAfter(5)
    host.own = 1
    host.canLook = false
    host.lookAfter(5)
    host.close(1)
    host.close(2)
    host.wait(5)
    // Nobody has seen whether others began since the switch.
    expect(host.look()).toEqual([70, 0, 'inferred'])
    expect(host.truth).toBe(70)
  })

  test('are in doubt while nobody can see the connections that were there at first', () => {
    const host = new Host()
    host.canLook = false
    host.connect(0, 50)
    host.look()
    host.close()
    expect(host.lookAfter(5)).toEqual([100, 50, 'inferred'])
    host.canLook = true
    expect(host.lookAfter(5)).toEqual([100, 50, 'inferred'])
    // Those that ended before stay in doubt until they go, and nothing else does.
    host.wait(60)
    host.connect(0, 50)
    host.close()
    expect(host.lookAfter(5)).toEqual([100, 0, 'exact'])
  })

  test('of a connection that ends while the others are looked at are in doubt', () => {
    const host = new Host()
    host.own = 0
    host.connect(0, 10)
    host.own = 1
    host.look(() => host.close())
    expect(host.lookAfter(5)).toEqual([100, 10, 'inferred'])
  })

  test('of a connection that began and ended around the switch are in doubt', () => {
    const host = new Host()
    host.own = 0
    host.look()
    host.connect(0, 10)
    host.close()
    host.own = 1
    host.connect(10, 10)
    host.close()
    expect(host.lookAfter(5)).toEqual([100, 20, 'inferred'])
    expect(host.truth).toBe(90)
  })

  test('do not stay in doubt on a host that has them and recycles ports all the time', () => {
    const host = new Host()
    host.connect(0, 80)
    host.close()
    for (let at = 0; at < 20; at++) {
      host.lookAfter(5)
      host.connect(0, 80)
      host.close()
    }
    expect(host.lookAfter(5)).toEqual([100, 0, 'exact'])
  })

  test('are looked at again when another tcp_tw_reuse makes them matter', () => {
    const host = new Host()
    host.tcpTwReuse = 0
    host.own = 0
    host.connect(0, 40)
    host.own = 1
    host.look()
    host.tcpTwReuse = 1
    host.lookAfter(5)
    host.close()
    expect(host.lookAfter(5)).toEqual([60, 0, 'exact'])
  })
})
