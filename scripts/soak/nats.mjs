// The chaos test of fsq/nats for some minutes (test/nats/chaos.test.ts), and a cluster of three servers (test/nats/cluster.test.ts):
//
//     npm run soak:nats -- MINUTES
import process from 'node:process'

import { run } from '../run.mjs'

const minutes = Number(process.argv[2] ?? 5)
run(
  process.execPath,
  [
    '--experimental-vm-modules',
    '--disable-warning=ExperimentalWarning',
    'node_modules/jest/bin/jest.js',
    'test/nats/chaos.test.ts',
    'test/nats/cluster.test.ts',
  ],
  { env: { ...process.env, FSQ_SOAK_SECONDS: String(60 * minutes) } },
)
