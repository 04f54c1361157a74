export { postgres } from "./binding.js";
export type {
  PoolInstance,
  PoolStats,
  PostgresInitializer,
  PostgresInstance,
  PostgresOptions,
  TableNames,
  TlsOptions,
} from "./binding.js";
