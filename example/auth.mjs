// Lucia as an application sets it up.
import "lucia/polyfill/node"; // Node 18 has no global `crypto`

import { lucia } from "lucia";

/**
 * @param {import("lucia").InitializeAdapter<import("lucia").Adapter>} adapter
 * @param {Partial<import("lucia").Configuration>} [configuration]
 */
export function createAuth(adapter, configuration = {}) {
  return lucia({
    adapter,
    env: process.env.NODE_ENV === "production" ? "PROD" : "DEV", // PROD marks the cookie Secure: it needs https
    getUserAttributes: ({ username, created_at: createdAt }) => ({ username, createdAt }),
    getSessionAttributes: ({ user_agent: userAgent, created_at: createdAt }) => ({ userAgent, createdAt }),
    ...configuration,
  });
}
