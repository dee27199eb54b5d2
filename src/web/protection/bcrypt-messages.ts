// What passes between bcrypt-thread.ts and the thread that it starts; one question at a time.

export interface BcryptQuestion {
  readonly password: string
  readonly hash: string
}

export type BcryptAnswer = boolean
