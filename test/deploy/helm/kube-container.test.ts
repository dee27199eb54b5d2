import { describe, expect, test } from 'vitest'
import { takeContainer } from '../../support/cluster/kube-container.ts'

const node = { nodeName: 'node-1', hostIp: '192.0.2.1' }

function daemonSet(container: object, pod: object = {}, annotations: object = {}): unknown {
  return {
    kind: 'DaemonSet',
    spec: {
      template: {
        metadata: { annotations },
        spec: { containers: [{ name: 'exporter', image: 'image:1', ...container }], ...pod },
      },
    },
  }
}

describe('takeContainer()', () => {
  test('gives the kubelet defaults of a container that says nothing', () => {
    expect(takeContainer([{ kind: 'Service' }, daemonSet({})], node)).toEqual({
      image: 'image:1',
      command: [],
      args: [],
      env: {},
      uid: undefined,
      gid: undefined,
      fsGroup: undefined,
      runAsNonRoot: false,
      capabilities: { add: [], drop: [] },
      noNewPrivileges: false,
      privileged: false,
      readOnlyRoot: false,
      seccomp: undefined,
      appArmor: undefined,
      hostNetwork: false,
      hostPid: false,
      ports: [],
      probes: [],
      mounts: [],
    })
  })

  test('lets the container win over the pod', () => {
    const pod = { securityContext: { runAsUser: 1, runAsGroup: 2, fsGroup: 3 } }
    const taken = takeContainer([daemonSet({ securityContext: { runAsUser: 0 } }, pod)], node)
    expect(taken).toMatchObject({ uid: 0, gid: 2, fsGroup: 3 })
  })

  test('replaces variables that are known, in arguments as well, and leaves others', () => {
    const field = (fieldPath: string) => ({ valueFrom: { fieldRef: { fieldPath } } })
    const env = [
      { name: 'NODE', ...field('spec.nodeName') },
      { name: 'IP', ...field('status.hostIP') },
      { name: 'EMPTY', ...field('metadata.uid') },
      { name: 'PLAIN', value: 'text' },
    ]
    const args = ['--a=$(IP):1', '--b=$(EMPTY)', '--c=$(PLAIN)$(NODE)']
    const taken = takeContainer([daemonSet({ env, args })], node)
    expect(taken.env).toEqual({ NODE: 'node-1', IP: '192.0.2.1', PLAIN: 'text' })
    expect(taken.args).toEqual(['--a=192.0.2.1:1', '--b=$(EMPTY)', '--c=textnode-1'])
  })

  test('reads the annotation that AppArmor had before Kubernetes 1.30', () => {
    const annotation = { 'container.apparmor.security.beta.kubernetes.io/exporter': 'unconfined' }
    expect(takeContainer([daemonSet({}, {}, annotation)], node).appArmor).toBe('Unconfined')
  })

  test('joins mounts with their volumes, and refuses one that has none', () => {
    const volumeMounts = [
      { name: 'host', mountPath: '/host', mountPropagation: 'HostToContainer', readOnly: true },
      { name: 'token', mountPath: '/token' },
    ]
    const sources = [
      { serviceAccountToken: { path: 'token' } },
      { configMap: { name: 'ca', items: [{ key: 'a', path: 'ca.crt' }] } },
    ]
    const volumes = [
      { name: 'token', projected: { sources } },
      { name: 'host', hostPath: { path: '/', type: 'Directory' } },
    ]
    expect(takeContainer([daemonSet({ volumeMounts }, { volumes })], node).mounts).toEqual([
      {
        path: '/host',
        readOnly: true,
        propagation: 'HostToContainer',
        source: { kind: 'hostPath', path: '/', type: 'Directory' },
      },
      {
        path: '/token',
        readOnly: false,
        propagation: 'None',
        source: { kind: 'projected', files: ['token', 'ca.crt'] },
      },
    ])
    expect(() => takeContainer([daemonSet({ volumeMounts })], node)).toThrow(
      'Cannot mount host: no such volume',
    )
    expect(() => takeContainer([], node)).toThrow('no DaemonSet')
  })

  test('finds the port of a probe by its name', () => {
    const ports = [{ name: 'metrics', containerPort: 10132 }]
    const livenessProbe = { httpGet: { path: '/-/healthy', port: 'metrics', scheme: 'HTTPS' } }
    const readinessProbe = { tcpSocket: { port: 99 } }
    const { probes } = takeContainer([daemonSet({ ports, livenessProbe, readinessProbe })], node)
    expect(probes).toEqual([
      { kind: 'liveness', path: '/-/healthy', scheme: 'HTTPS', port: 10132 },
      { kind: 'readiness', path: undefined, scheme: undefined, port: 99 },
    ])
  })
})
