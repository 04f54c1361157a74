// The adapter of Lucia 3, over the same methods as that of Lucia 2: only what they take and give has another shape.
"use strict";

const { createDeletion, createMethods } = require("./adapter.js");
const { Connection } = require("./connection.js");
const { methods } = require("./constants.js");
const { give } = require("./rows.js");

const toSession = ({ id, user_id: userId, expires_at: expiresAt, ...attributes }) => ({ userId, id, expiresAt, attributes });
const toUser = ({ id, ...attributes }) => ({ id, attributes });

/** Without the attributes that are undefined. */
const toRow = (session) => {
  if (typeof session !== "object" || session === null) return session;
  const { id, userId, expiresAt, attributes } = session;
  const entries = Object.entries({ id, user_id: userId, expires_at: expiresAt, ...attributes });
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined));
};

/** An id that is a number is sent as every number is. */
const textOf = (userId) => (typeof userId === "number" ? String(userId) : userId);

const giveOf3 = {
  ...give,
  Pair({ first, second, split }, count, values, at) {
    if (count === 0) return [null, null];
    const user = second(values, at + split);
    // The session may be of nobody: then there are NULLs in the place of the user.
    return [toSession(first(values, at)), user.id === null ? null : toUser(user)];
  },
};

/** @type {typeof import("../v3.js").PostgresAdapter} */
const PostgresAdapter = class PostgresAdapter {
  #connection;
  #methods;
  #deleteExpired;

  constructor(connection, tableNames, options) {
    this.#connection = new Connection(connection, tableNames, options, 3);
    this.#methods = createMethods(this.#connection, undefined, methods[3], giveOf3);
    this.#deleteExpired = createDeletion(this.#connection, give.Nothing, () => new Date().toISOString());
  }

  getSessionAndUser(sessionId) {
    return this.#methods.getSessionAndUser(sessionId);
  }

  async getUserSessions(userId) {
    const rows = await this.#methods.getUserSessions(textOf(userId));
    return rows.map(toSession);
  }

  async setSession(session) {
    await this.#methods.setSession(toRow(session));
  }

  async updateSessionExpiration(sessionId, expiresAt) {
    await this.#methods.updateSessionExpiration(sessionId, { expires_at: expiresAt });
  }

  async deleteSession(sessionId) {
    await this.#methods.deleteSession(sessionId);
  }

  async deleteUserSessions(userId) {
    await this.#methods.deleteUserSessions(textOf(userId));
  }

  async deleteExpiredSessions() {
    await this.#deleteExpired();
  }

  end(how) {
    return this.#connection.end(how);
  }

  stats() {
    return this.#connection.load();
  }
};

module.exports = { PostgresAdapter };
