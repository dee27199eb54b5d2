import { describe, expect, test } from 'vitest'
import { families } from '../../src/metrics/families.ts'
import { renderFamilies } from '../../src/metrics/render.ts'
import { sampleBuild, sampleSnapshot } from '../support/render/sample-snapshot.ts'
import { samplesOf } from './samples-of.ts'

describe('the page of the sample', () => {
  test('renderFamilies() prints HELP, TYPE and samples of each family', async () => {
    const page = await renderFamilies(sampleSnapshot, sampleBuild, 'text')
    expect(page.slice(0, page.indexOf('\n\n'))).toBe(
      [
        '# HELP ephemeral_port_range_first_port First port of net.ipv4.ip_local_port_range, which IPv6 uses as well. Absent for quiet namespaces.',
        '# TYPE ephemeral_port_range_first_port gauge',
        'ephemeral_port_range_first_port{netns="host"} 32768',
      ].join('\n'),
    )
    const sections = page.trimEnd().split('\n\n')
    expect(sections.map((section) => section.split('\n')[1])).toEqual(
      families.map(({ name, type }) => `# TYPE ${name} ${type}`),
    )
  })

  test('range and use', async () => {
    const pattern =
      /ephemeral_port_(range_.*|reserved_ports|usable_ports|used_ports|(inbound_)?sockets|blocked_ports|listeners)$/
    expect(await samplesOf(sampleSnapshot, pattern)).toBe(
      `
ephemeral_port_range_first_port{netns="host"} 32768
ephemeral_port_range_last_port{netns="host"} 60999
ephemeral_port_range_ports{netns="host"} 28232
ephemeral_port_reserved_ports{netns="host"} 11
ephemeral_port_usable_ports{netns="host"} 28221
ephemeral_port_used_ports{netns="host",protocol="tcp"} 22221
ephemeral_port_used_ports{netns="host",protocol="udp"} 3
ephemeral_port_range_utilization_ratio{netns="host",protocol="tcp"} ${22_221 / 28_221}
ephemeral_port_range_utilization_ratio{netns="host",protocol="udp"} ${3 / 28_221}
ephemeral_port_sockets{netns="host",protocol="tcp",state="bound"} 1
ephemeral_port_sockets{netns="host",protocol="tcp",state="close_wait"} 0
ephemeral_port_sockets{netns="host",protocol="tcp",state="established"} 20000
ephemeral_port_sockets{netns="host",protocol="tcp",state="time_wait"} 2500
ephemeral_port_sockets{netns="host",protocol="udp",state="bound"} 2
ephemeral_port_sockets{netns="host",protocol="udp",state="connected"} 1
ephemeral_port_inbound_sockets{netns="host",protocol="tcp"} 4
ephemeral_port_inbound_sockets{netns="host",protocol="udp"} 0
ephemeral_port_blocked_ports{netns="host",holder="bound"} 2
ephemeral_port_blocked_ports{netns="host",holder="listener"} 1
ephemeral_port_listeners{netns="host",protocol="tcp"} 1`.trim(),
    )
  })

  test('pools and forecast', async () => {
    expect(await samplesOf(sampleSnapshot, /_(pool_(?!held|cause)|exhaustion_|forecast_)/)).toBe(
      `
ephemeral_port_pool_capacity_ports{netns="host",pool="nat_tcp"} 1000
ephemeral_port_pool_capacity_ports{netns="host",pool="nat_udp"} 1000
ephemeral_port_pool_capacity_ports{netns="host",pool="tcp_bind"} 28221
ephemeral_port_pool_capacity_ports{netns="host",pool="tcp_connect"} 28221
ephemeral_port_pool_capacity_ports{netns="host",pool="udp"} 28221
ephemeral_port_pool_available_ports{netns="host",pool="nat_tcp"} 15
ephemeral_port_pool_available_ports{netns="host",pool="nat_udp"} 1000
ephemeral_port_pool_available_ports{netns="host",pool="tcp_bind"} 6000
ephemeral_port_pool_available_ports{netns="host",pool="tcp_connect"} 7057
ephemeral_port_pool_available_ports{netns="host",pool="udp"} 28218
ephemeral_port_pool_unused_ports{netns="host",pool="nat_tcp"} 10
ephemeral_port_pool_unused_ports{netns="host",pool="nat_udp"} 1000
ephemeral_port_pool_unused_ports{netns="host",pool="tcp_bind"} 6000
ephemeral_port_pool_unused_ports{netns="host",pool="tcp_connect"} 6000
ephemeral_port_pool_unused_ports{netns="host",pool="udp"} 6000
ephemeral_port_pool_uncertain_ports{netns="host",pool="tcp_connect"} 40
ephemeral_port_pool_utilization_ratio{netns="host",pool="nat_tcp"} 0.985
ephemeral_port_pool_utilization_ratio{netns="host",pool="nat_udp"} 0
ephemeral_port_pool_utilization_ratio{netns="host",pool="tcp_bind"} 0.5
ephemeral_port_pool_utilization_ratio{netns="host",pool="tcp_connect"} 0.75
ephemeral_port_pool_utilization_ratio{netns="host",pool="udp"} 0.25
ephemeral_port_pool_utilization_peak_ratio{netns="host",pool="nat_tcp"} 0.99
ephemeral_port_pool_utilization_peak_ratio{netns="host",pool="nat_udp"} 0
ephemeral_port_pool_utilization_peak_ratio{netns="host",pool="tcp_bind"} 0.5
ephemeral_port_pool_utilization_peak_ratio{netns="host",pool="tcp_connect"} 0.8
ephemeral_port_pool_utilization_peak_ratio{netns="host",pool="udp"} 0.5
ephemeral_port_pool_reclaimable_ports{netns="host",pool="nat_tcp"} 5
ephemeral_port_pool_reclaimable_ports{netns="host",pool="tcp_connect"} 12
ephemeral_port_pool_slow{netns="host",pool="tcp_connect"} 1
ephemeral_port_exhaustion_risk_ratio{netns="host",pool="nat_tcp"} 0.9375
ephemeral_port_exhaustion_risk_ratio{netns="host",pool="nat_udp"} 0
ephemeral_port_exhaustion_risk_ratio{netns="host",pool="tcp_bind"} 0
ephemeral_port_exhaustion_risk_ratio{netns="host",pool="tcp_connect"} 0.625
ephemeral_port_exhaustion_eta_seconds{netns="host",pool="nat_tcp"} 45
ephemeral_port_exhaustion_eta_seconds{netns="host",pool="tcp_connect"} 412.5
ephemeral_port_forecast_horizon_seconds 900
ephemeral_port_pool_worst_destination_info{netns="host",pool="nat_tcp",source="203.0.113.7",destination="198.51.100.9:443"} 1
ephemeral_port_pool_worst_destination_info{netns="host",pool="tcp_connect",source="10.0.0.5",destination="10.0.0.9:443"} 1`.trim(),
    )
  })

  test('destinations, listeners and TIME_WAIT', async () => {
    const pattern =
      /_port_(destinations|destination_.*_ports|destination_.*_ratio|listener_info|connections.*|time_wait_release_ports)$/
    expect(await samplesOf(sampleSnapshot, pattern)).toBe(
      `
ephemeral_port_destinations{netns="host"} 14
ephemeral_port_destination_used_ports{netns="host",source="10.0.0.5",destination="10.0.0.9:443"} 21161
ephemeral_port_destination_used_ports{netns="host",source="fd00::5%3",destination="[fd00::9]:5432"} 900
ephemeral_port_destination_used_ports{netns="host",source="other",destination="other"} 160
ephemeral_port_destination_time_wait_ports{netns="host",source="10.0.0.5",destination="10.0.0.9:443"} 2000
ephemeral_port_destination_time_wait_ports{netns="host",source="fd00::5%3",destination="[fd00::9]:5432"} 400
ephemeral_port_destination_time_wait_ports{netns="host",source="other",destination="other"} 100
ephemeral_port_destination_utilization_ratio{netns="host",source="10.0.0.5",destination="10.0.0.9:443"} 0.75
ephemeral_port_destination_utilization_ratio{netns="host",source="fd00::5%3",destination="[fd00::9]:5432"} 0.125
ephemeral_port_listener_info{netns="host",protocol="tcp",port="50051",owner="checkout"} 1
ephemeral_port_connections_opened_total{netns="host"} 123456
ephemeral_port_time_wait_release_ports{netns="host",within_seconds="1"} 40
ephemeral_port_time_wait_release_ports{netns="host",within_seconds="5"} 210
ephemeral_port_time_wait_release_ports{netns="host",within_seconds="15"} 640
ephemeral_port_time_wait_release_ports{netns="host",within_seconds="30"} 1260
ephemeral_port_time_wait_release_ports{netns="host",within_seconds="60"} 2500`.trim(),
    )
  })

  test('owners', async () => {
    expect(await samplesOf(sampleSnapshot, /_owner_/)).toBe(
      `
ephemeral_port_owner_used_ports{netns="host",protocol="tcp",owner="backup.service",owner_kind="unit"} 0
ephemeral_port_owner_used_ports{netns="host",protocol="tcp",owner="checkout",owner_kind="container"} 20000
ephemeral_port_owner_used_ports{netns="host",protocol="tcp",owner="none",owner_kind="none"} 1000
ephemeral_port_owner_used_ports{netns="host",protocol="tcp",owner="other",owner_kind="other"} 1200
ephemeral_port_owner_used_ports{netns="host",protocol="tcp",owner="unknown",owner_kind="unknown"} 21
ephemeral_port_owner_used_ports{netns="host",protocol="udp",owner="systemd-resolved.service",owner_kind="unit"} 3`.trim(),
    )
  })

  test('source NAT', async () => {
    expect(await samplesOf(sampleSnapshot, /_(nat|conntrack)_/)).toBe(
      `
ephemeral_port_nat_failure_probability_ratio{netns="host",pool="nat_tcp"} 0.03125
ephemeral_port_nat_failure_probability_ratio{netns="host",pool="nat_udp"} 0
ephemeral_port_nat_destination_used_ports{netns="host",protocol="tcp",source="203.0.113.7",destination="198.51.100.9:443"} 990
ephemeral_port_nat_destination_used_ports{netns="host",protocol="tcp",source="other",destination="other"} 12
ephemeral_port_nat_client_used_ports{netns="host",protocol="tcp",client="10.244.1.7",owner="shop/crawler-5f8",owner_kind="pod"} 950
ephemeral_port_nat_client_used_ports{netns="host",protocol="tcp",client="other",owner="other",owner_kind="other"} 52
ephemeral_port_nat_range_info{netns="host",protocol="tcp",source="203.0.113.7",first_port="40000",last_port="40999",origin="rule"} 1
ephemeral_port_nat_range_info{netns="host",protocol="udp",source="203.0.113.7",first_port="40000",last_port="40999",origin="rule"} 1
ephemeral_port_nat_last_read_timestamp_seconds{netns="host"} 1764000000.25
ephemeral_port_nat_collisions_total{netns="host"} 48000
ephemeral_port_nat_insert_failed_total{netns="host"} 31
ephemeral_port_nat_drop_signature_info{netns="host",signature="unclear"} 1
ephemeral_port_nat_dropped_total{netns="host"} 32
ephemeral_port_nat_clashes_resolved_total{netns="host"} 2
ephemeral_port_conntrack_entries{netns="host"} 1004
ephemeral_port_conntrack_limit_entries{netns="host"} 262144`.trim(),
    )
  })

  test('namespaces and exporter', async () => {
    const pattern =
      /_port_(netns_|tcp_|ip_|source_|truncated_|last_|sample|worker_|scrape_|exporter_)/
    expect(await samplesOf(sampleSnapshot, pattern)).toBe(
      `
ephemeral_port_netns_info{netns="host",netns_kind="host",namespace="",pod=""} 1
ephemeral_port_netns_info{netns="self",netns_kind="self",namespace="",pod=""} 1
ephemeral_port_tcp_tw_reuse{netns="host"} 2
ephemeral_port_tcp_timestamps{netns="host"} 1
ephemeral_port_tcp_tw_reuse_delay_seconds{netns="host"} 1
ephemeral_port_tcp_max_tw_buckets{netns="host"} 65536
ephemeral_port_ip_autobind_reuse{netns="host"} 0
ephemeral_port_ip_local_port_step_width{netns="host"} 1
ephemeral_port_netns_last_read_timestamp_seconds{netns="host"} 1764000000.25
ephemeral_port_netns_success{netns="host"} 1
ephemeral_port_netns_success{netns="self"} 0
ephemeral_port_netns_failures_total{reason="exhausted"} 0
ephemeral_port_netns_failures_total{reason="malformed"} 0
ephemeral_port_netns_failures_total{reason="permission"} 3
ephemeral_port_netns_failures_total{reason="timeout"} 0
ephemeral_port_netns_failures_total{reason="unsupported"} 0
ephemeral_port_netns_failures_total{reason="vanished"} 0
ephemeral_port_source_info{netns="host",reader="netlink",exactness="exact",range="sysctl"} 1
ephemeral_port_truncated_series{netns="",family="namespaces"} 3
ephemeral_port_truncated_series{netns="host",family="ephemeral_port_destination_used_ports"} 12
ephemeral_port_truncated_series{netns="host",family="ephemeral_port_listener_info"} 0
ephemeral_port_truncated_series{netns="host",family="ephemeral_port_nat_client_used_ports"} 9
ephemeral_port_truncated_series{netns="host",family="ephemeral_port_nat_destination_used_ports"} 4
ephemeral_port_truncated_series{netns="host",family="ephemeral_port_owner_used_ports"} 7
ephemeral_port_last_sample_timestamp_seconds 1764000000.5
ephemeral_port_sample_interval_seconds 5
ephemeral_port_sample_duration_seconds{stage="discover"} 0.0005
ephemeral_port_sample_duration_seconds{stage="model"} 0.0075
ephemeral_port_sample_duration_seconds{stage="other"} 0.001
ephemeral_port_sample_duration_seconds{stage="read"} 0.0425
ephemeral_port_sample_postponed_namespaces 2
ephemeral_port_samples_total 17
ephemeral_port_worker_restarts_total 0
ephemeral_port_scrape_collector_success{collector="destinations"} 1
ephemeral_port_scrape_collector_success{collector="listeners"} 0
ephemeral_port_scrape_collector_duration_seconds{collector="destinations"} 0.0025
ephemeral_port_scrape_collector_duration_seconds{collector="listeners"} 0
ephemeral_port_exporter_build_info{version="0.1.0",revision="abc1234",nodeversion="v20.20.2",platform="linux",arch="x64"} 1`.trim(),
    )
  })
})
