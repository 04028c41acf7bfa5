/** `node:http`, asked for by name: an import of it makes all it exports, and its WebSocket brings the whole of fetch, 13 MB that nobody here uses. */
const http = process.getBuiltinModule("node:http");

export const { Agent, createServer, request, ServerResponse } = http;
