// Lucia 3 with its official adapter and that adapter's suite, which find it under its own name: the one beside this
// package's other dependencies is Lucia 2.
export { NodePostgresAdapter, PostgresJsAdapter } from "@lucia-auth/adapter-postgresql";
export { databaseUser, testAdapter } from "@lucia-auth/adapter-test";
export { LegacyScrypt, Lucia, TimeSpan } from "lucia";
