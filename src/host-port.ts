// How an address and a port are written together.

export interface HostPort {
  readonly host: string
  readonly port: number
}

/** `10.0.0.9:443`, `[2001:db8::1]:443`: an address of IPv6 stands in brackets, as in a URL (RFC 3986, 3.2.2). */
export function joinHostPort({ host, port }: HostPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
