import { describe, expect, test } from 'vitest'
import { acceptsGzip, negotiateFormat } from '../../src/web/negotiate.ts'
import { cpuMsOf } from '../support/program/cpu-time.ts'

const PROTOBUF =
  'application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited'

describe('negotiateFormat()', () => {
  test.each([
    ['Prometheus 2.0', 'text/plain;version=0.0.4;q=1,*/*;q=0.1', 'text'],
    [
      'Prometheus 2.5 to 2.40',
      'application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1',
      'openmetrics',
    ],
    [
      'Prometheus 2.41 to 2.48',
      'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1',
      'openmetrics',
    ],
    [
      'Prometheus 2.41 to 2.48 with native histograms',
      `${PROTOBUF},application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1`,
      'openmetrics',
    ],
    [
      'Prometheus 2.49 to 2.55',
      'application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2',
      'openmetrics',
    ],
    [
      'Prometheus 2.49 to 2.55 with native histograms',
      `${PROTOBUF};q=0.5,application/openmetrics-text;version=1.0.0;q=0.4,application/openmetrics-text;version=0.0.1;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1`,
      'openmetrics',
    ],
    [
      'Prometheus 3',
      'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1',
      'openmetrics',
    ],
    [
      'Prometheus 3 with native histograms',
      `${PROTOBUF};escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1`,
      'openmetrics',
    ],
    [
      'Prometheus 3 with scrape_protocols: [PrometheusText0.0.4, OpenMetricsText1.0.0]',
      'text/plain;version=0.0.4;q=0.6,application/openmetrics-text;version=1.0.0;escaping=underscores;q=0.5,*/*;q=0.4',
      'text',
    ],
    [
      'Prometheus 3 with scrape_protocols: [PrometheusProto]',
      `${PROTOBUF};escaping=underscores;q=0.6,*/*;q=0.5`,
      'text',
    ],
    [
      'a browser',
      'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8',
      'text',
    ],
    ['curl', '*/*', 'text'],
    ['application/json', 'application/json', 'text'],
    ['no header', undefined, 'text'],
    ['an empty header', '', 'text'],
    ['commas', ',;=,,q=;', 'text'],
    ['garbage', '\u0000 openmetrics-text/application q=1 "', 'text'],
  ])('serves %s', (_client, header, format) => {
    expect(negotiateFormat(header)).toBe(format)
  })

  test.each([
    ['no version', 'application/openmetrics-text', 'openmetrics'],
    ['version 0.0.1 alone', 'application/openmetrics-text;version=0.0.1', 'openmetrics'],
    ['a version to come', 'application/openmetrics-text;version=2.0.0,*/*;q=0.1', 'text'],
    [
      'capitals, blanks, quotes',
      'Application/OpenMetrics-Text ; Version="1.0.0" ; Q=0.9, text/plain;q=0.1',
      'openmetrics',
    ],
    ['q=0', 'application/openmetrics-text;version=1.0.0;q=0,text/plain;q=0.1', 'text'],
    ['q=0 and nothing else', 'application/openmetrics-text;q=0', 'text'],
    [
      '1.0.0 refused, 0.0.1 wanted',
      'application/openmetrics-text;version=1.0.0;q=0.0,application/openmetrics-text;version=0.0.1',
      'text',
    ],
    ['text refused', 'text/plain;q=0,application/openmetrics-text;q=0.001', 'openmetrics'],
    ['text wanted more', 'application/openmetrics-text;q=0.5,text/plain;q=0.6', 'text'],
    ['text wanted more by a wildcard', 'application/openmetrics-text;q=0.5,text/*;q=0.6', 'text'],
    ['anything wanted more', 'application/openmetrics-text;q=0.5,*/*;q=0.6', 'text'],
    ['the same q, named', 'text/*,application/openmetrics-text', 'openmetrics'],
    [
      'the same q, with its version',
      'text/plain,application/openmetrics-text;version=1.0.0',
      'openmetrics',
    ],
    ['the same in all', 'application/openmetrics-text,text/plain', 'text'],
    [
      'a vaguer range with a higher q',
      'text/plain;version=0.0.4;q=0.1,text/plain;q=0.9,application/openmetrics-text;q=0.5',
      'openmetrics',
    ],
    [
      'only a version of text that is not served',
      'text/plain;version=1.0.0,application/openmetrics-text;q=0.1',
      'openmetrics',
    ],
    ['a q above 1', 'application/openmetrics-text;q=2,text/plain;q=0.1', 'text'],
    ['a q that is no number', 'application/openmetrics-text;q=high,*/*', 'text'],
    ['a negative q', 'application/openmetrics-text;q=-1', 'text'],
    ['two q: the last', 'application/openmetrics-text;q=0.5;q=0,text/plain;q=0.1', 'text'],
    ['a wildcard for applications', 'application/*', 'text'],
  ])('judges %s', (_case, header, format) => {
    expect(negotiateFormat(header)).toBe(format)
  })

  test('negotiateFormat() takes no noticeable time for a header as long as node:http lets through', () => {
    for (const part of [
      'application/openmetrics-text;version=1.0.0;q=0.',
      ';',
      ',',
      '"',
      ' ',
      'q=0',
    ]) {
      const header = part.repeat(Math.ceil(16_384 / part.length))
      // The least of three: what a neighbour of the whole machine takes counts as CPU time of this process.
      const tries = [1, 2, 3].map(() => cpuMsOf(() => negotiateFormat(header)))
      expect(Math.min(...tries)).toBeLessThan(200)
    }
  })
})

describe('acceptsGzip()', () => {
  test.each([
    ['gzip', true],
    ['gzip, deflate, br, zstd', true],
    ['deflate, GZIP;q=0.5', true],
    ['x-gzip', true],
    ['*', true],
    ['identity;q=0, *;q=0.1', true],
    ['gzip;q=1.0, identity;q=0.5', true],
    [undefined, false],
    ['', false],
    ['deflate, br', false],
    ['identity', false],
    ['gzip;q=0', false],
    ['gzip;q=0.000, *', false],
    ['*;q=0', false],
    ['gzip;q=0.2, identity', false],
    ['gzip;q=many', false],
    ['gzipped', false],
  ])('acceptsGzip(%j) is %j', (header, accepted) => {
    expect(acceptsGzip(header)).toBe(accepted)
  })
})
