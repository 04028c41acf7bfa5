/**
 * `node:http`, required rather than imported: an import evaluates all its exports, and its WebSocket loads the whole of fetch, 13 MB that nothing
 * here uses.
 */
const http = process.getBuiltinModule("node:http");

export const { Agent, createServer, request, ServerResponse } = http;
