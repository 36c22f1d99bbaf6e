// Pushes against all odds in their full size (test/remote/): 10,000 connections, 1 GiB of JSON, 5 GiB as a stream. It takes some minutes and
// 11 GB, and prints the memory that sender and receiver have taken:
//
//     npm run soak:push
import process from 'node:process'

import { run } from '../run.mjs'

run(
  process.execPath,
  [
    '--experimental-vm-modules',
    '--disable-warning=ExperimentalWarning',
    'node_modules/jest/bin/jest.js',
    '--testTimeout=600000',
    'test/remote/abuse.test.ts',
  ],
  { env: { ...process.env, FSQ_SOAK_PUSH: '1' } },
)
