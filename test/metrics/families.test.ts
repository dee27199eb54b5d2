import { describe, expect, test } from 'vitest'
import { families } from '../../src/metrics/families.ts'
import { sampleBuild, sampleSnapshot } from '../support/render/sample-snapshot.ts'

describe('families', () => {
  test('families are the contract, in order', () => {
    expect(
      families.map(({ name, type, labels }) =>
        `${type} ${name}{${labels.join()}}`.replace('{}', ''),
      ),
    ).toEqual([
      'gauge ephemeral_port_range_first_port{netns}',
      'gauge ephemeral_port_range_last_port{netns}',
      'gauge ephemeral_port_range_ports{netns}',
      'gauge ephemeral_port_reserved_ports{netns}',
      'gauge ephemeral_port_usable_ports{netns}',
      'gauge ephemeral_port_used_ports{netns,protocol}',
      'gauge ephemeral_port_range_utilization_ratio{netns,protocol}',
      'gauge ephemeral_port_sockets{netns,protocol,state}',
      'gauge ephemeral_port_inbound_sockets{netns,protocol}',
      'gauge ephemeral_port_blocked_ports{netns,holder}',
      'gauge ephemeral_port_listeners{netns,protocol}',
      'gauge ephemeral_port_pool_capacity_ports{netns,pool}',
      'gauge ephemeral_port_pool_available_ports{netns,pool}',
      'gauge ephemeral_port_pool_unused_ports{netns,pool}',
      'gauge ephemeral_port_pool_uncertain_ports{netns,pool}',
      'gauge ephemeral_port_pool_utilization_ratio{netns,pool}',
      'gauge ephemeral_port_pool_utilization_peak_ratio{netns,pool}',
      'gauge ephemeral_port_pool_reclaimable_ports{netns,pool}',
      'gauge ephemeral_port_pool_slow{netns,pool}',
      'gauge ephemeral_port_exhaustion_risk_ratio{netns,pool}',
      'gauge ephemeral_port_exhaustion_eta_seconds{netns,pool}',
      'gauge ephemeral_port_forecast_horizon_seconds',
      'gauge ephemeral_port_pool_worst_destination_info{netns,pool,source,destination}',
      'gauge ephemeral_port_pool_held_ports{netns,pool,holder}',
      'gauge ephemeral_port_pool_cause_info{netns,pool,cause,owner}',
      'gauge ephemeral_port_destinations{netns}',
      'gauge ephemeral_port_destination_used_ports{netns,source,destination}',
      'gauge ephemeral_port_destination_time_wait_ports{netns,source,destination}',
      'gauge ephemeral_port_destination_utilization_ratio{netns,source,destination}',
      'gauge ephemeral_port_listener_info{netns,protocol,port,owner}',
      'counter ephemeral_port_connections_opened_total{netns}',
      'counter ephemeral_port_time_wait_recycled_total{netns}',
      'gauge ephemeral_port_time_wait_release_ports{netns,within_seconds}',
      'gauge ephemeral_port_owner_used_ports{netns,protocol,owner,owner_kind}',
      'gauge ephemeral_port_nat_failure_probability_ratio{netns,pool}',
      'gauge ephemeral_port_nat_destination_used_ports{netns,protocol,source,destination}',
      'gauge ephemeral_port_nat_client_used_ports{netns,protocol,client,owner,owner_kind}',
      'gauge ephemeral_port_nat_range_info{netns,protocol,source,first_port,last_port,origin}',
      'gauge ephemeral_port_nat_last_read_timestamp_seconds{netns}',
      'counter ephemeral_port_nat_collisions_total{netns}',
      'counter ephemeral_port_nat_insert_failed_total{netns}',
      'gauge ephemeral_port_nat_drop_signature_info{netns,signature}',
      'counter ephemeral_port_nat_dropped_total{netns}',
      'counter ephemeral_port_nat_clashes_resolved_total{netns}',
      'gauge ephemeral_port_conntrack_entries{netns}',
      'gauge ephemeral_port_conntrack_limit_entries{netns}',
      'counter ephemeral_port_allocation_failures_total{netns,pool}',
      'counter ephemeral_port_destination_allocation_failures_total{netns,destination,owner}',
      'gauge ephemeral_port_probe_success{netns,pool}',
      'gauge ephemeral_port_probe_duration_seconds{netns,pool}',
      'gauge ephemeral_port_netns_info{netns,netns_kind,namespace,pod}',
      'gauge ephemeral_port_tcp_tw_reuse{netns}',
      'gauge ephemeral_port_tcp_timestamps{netns}',
      'gauge ephemeral_port_tcp_tw_reuse_delay_seconds{netns}',
      'gauge ephemeral_port_tcp_max_tw_buckets{netns}',
      'gauge ephemeral_port_ip_autobind_reuse{netns}',
      'gauge ephemeral_port_ip_local_port_step_width{netns}',
      'gauge ephemeral_port_netns_last_read_timestamp_seconds{netns}',
      'gauge ephemeral_port_netns_success{netns}',
      'counter ephemeral_port_netns_failures_total{reason}',
      'gauge ephemeral_port_source_info{netns,reader,exactness,range}',
      'gauge ephemeral_port_truncated_series{netns,family}',
      'gauge ephemeral_port_last_sample_timestamp_seconds',
      'gauge ephemeral_port_sample_interval_seconds',
      'gauge ephemeral_port_sample_duration_seconds{stage}',
      'gauge ephemeral_port_sample_postponed_namespaces',
      'counter ephemeral_port_samples_total',
      'counter ephemeral_port_worker_restarts_total',
      'gauge ephemeral_port_scrape_collector_success{collector}',
      'gauge ephemeral_port_scrape_collector_duration_seconds{collector}',
      'gauge ephemeral_port_exporter_build_info{version,revision,nodeversion,platform,arch}',
    ])
  })

  test.each(families)('$name follows the naming rules', ({ name, type, help, labels, samples }) => {
    expect(name).toMatch(/^ephemeral_port_[a-z0-9_]+$/)
    expect(name.endsWith('_total')).toBe(type === 'counter')
    expect(name).not.toMatch(/_(count|sum|bucket|created)$/) // suffixes that OpenMetrics reads as parts of a histogram
    // OpenMetrics wants quotes and backslashes escaped in HELP, which prom-client does not do.
    expect(help).toMatch(/^[^"\\\n]{20,}\.$/)
    const given = [...samples(sampleSnapshot, sampleBuild)]
    expect(given).not.toEqual([])
    for (const sample of given) expect(Object.keys(sample.labels)).toEqual(labels)
  })

  test('the forecast names its estimator in HELP', () => {
    const forecasts = families.filter(({ name }) => name.includes('exhaustion'))
    expect(forecasts).toHaveLength(2)
    for (const { help } of forecasts) {
      expect(help).toContain('estimated from arrivals, closes and TIME_WAIT timers.')
    }
  })
})
