// The code of an error of Node or of a system call.

/** `ENOENT`, `ERR_SSL_HTTP_REQUEST`; undefined where the error has none. */
export function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}
