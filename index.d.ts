export { postgres } from "./binding.js";
export type {
  CallMessage,
  PoolInstance,
  PoolStats,
  PostgresInitializer,
  PostgresInstance,
  PostgresOptions,
  TableNames,
  TlsOptions,
} from "./binding.js";
