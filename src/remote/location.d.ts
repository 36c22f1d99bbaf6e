// Where fsq/remote is, for the method of a queue that loads it: `imports` in package.json.
declare module '#remote' {
  export function push<Forwarder>(queue: unknown, url: string | URL, options: object): Promise<Forwarder>
}
