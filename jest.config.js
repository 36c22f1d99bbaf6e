import process from 'node:process'

const outputFile = process.env.FSQ_TEST_JSON // set by .ci/run

/** @type {import('jest').Config} */
export default {
  testEnvironment: 'node',
  roots: ['<rootDir>/src', '<rootDir>/test'],
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  setupFiles: ['<rootDir>/test/support/umask.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '\\.ts$': ['@swc/jest', { swcrc: false, jsc: { parser: { syntax: 'typescript' }, target: 'es2023' } }],
  },
  moduleNameMapper: {
    '^fsq$': '<rootDir>/src/index.ts',
    '^fsq/lock$': '<rootDir>/src/lock.ts',
    '^fsq/nats$': '<rootDir>/src/nats.ts',
    '^#remote$': '<rootDir>/src/remote.ts',
    '^fsq/remote$': '<rootDir>/src/remote.ts',
    '^fsq/testing$': '<rootDir>/src/testing.ts',
    '^(\\.{1,2}/.*)\\.js$': ['$1.ts', '$1.js'],
  },
  testTimeout: 60_000,
  maxWorkers: 2,
  reporters: [
    'default',
    ...(outputFile ? [['<rootDir>/scripts/jest-json-reporter.mjs', { outputFile }]] : []),
  ],
}
