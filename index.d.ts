export { postgres } from "./binding.js";
export type {
  PoolInstance,
  PoolStats,
  PostgresInitializer,
  PostgresInstance,
  PostgresOptions,
  TableNames,
} from "./binding.js";
