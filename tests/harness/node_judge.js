// What Node's HTTP parser makes of messages, for tests that want a second opinion.
//
//   node node_judge.js requests|responses < CASES > VERDICTS
//
// CASES: a message stream per line, in base64. VERDICTS: for each a line of JSON, in order:
//   {"messages": [{"method" or "status", "target", "body", "fields"}…], "error": "HPE_…" or ""}
// messages: those that were read whole; body in base64; fields: how many. error: why Node read no
// further; "" if it met the end of the bytes, inside a message or not. No sockets: Node's own
// server and client are handed streams.
'use strict';
const http = require('http');
const { Duplex } = require('stream');

// Gives the bytes one by one, so that a message which is whole has been told before the next one's
// error; then the end. Swallows what is written.
class Wire extends Duplex {
  constructor(bytes) {
    super({ allowHalfOpen: true });
    this.bytes = bytes;
    this.at = 0;
  }
  _read() {
    setImmediate(() => {
      if (this.destroyed) return;
      this.push(this.at === this.bytes.length ? null : this.bytes.subarray(this.at, ++this.at));
    });
  }
  _write(chunk, encoding, done) { done(); }
  setTimeout() { return this; }
  setNoDelay() { return this; }
  setKeepAlive() { return this; }
  ref() { return this; }
  unref() { return this; }
}

function collect(message, onWhole) {
  const parts = [];
  message.on('data', (part) => parts.push(part));
  message.on('error', () => {});
  message.on('end', () => {
    if (message.complete) onWhole(Buffer.concat(parts).toString('base64'));
  });
}

function judgeRequests(bytes, done) {
  const verdict = { messages: [], error: '' };
  const server = http.createServer({ insecureHTTPParser: false });
  const whole = (request, body) => verdict.messages.push({
    method: request.method, target: request.url, body, fields: request.rawHeaders.length / 2,
  });
  const serve = (request, response) => collect(request, (body) => {
    whole(request, body);
    response.end();
  });
  server.on('request', serve);
  server.on('checkContinue', serve);
  server.on('checkExpectation', () => {});
  server.on('connect', (request, socket) => {
    whole(request, '');
    socket.destroy();
  });
  server.on('clientError', (error, socket) => {
    // Node says so too when the stream ends inside a message.
    if (error.code !== 'HPE_INVALID_EOF_STATE' && error.code !== 'ECONNRESET') {
      verdict.error = error.code || String(error);
    }
    socket.destroy();
  });
  const wire = new Wire(bytes);
  wire.on('close', () => done(verdict));
  server.emit('connection', wire);
}

function judgeResponses(bytes, done) {
  const verdict = { messages: [], error: '' };
  const wire = new Wire(bytes);
  const request = http.request({ createConnection: () => wire });
  let finished = false;
  const finish = () => {
    if (finished) return;
    finished = true;
    wire.destroy();
    done(verdict);
  };
  request.on('information', (info) => verdict.messages.push({
    status: info.statusCode, body: '', fields: info.rawHeaders.length / 2,
  }));
  request.on('response', (response) => {
    collect(response, (body) => verdict.messages.push({
      status: response.statusCode, body, fields: response.rawHeaders.length / 2,
    }));
    response.on('close', finish);
  });
  request.on('upgrade', (response) => {
    verdict.messages.push({ status: response.statusCode, body: '', fields: response.rawHeaders.length / 2 });
    finish();
  });
  request.on('error', (error) => {
    if (error.code !== 'HPE_INVALID_EOF_STATE' && error.code !== 'ECONNRESET') {
      verdict.error = error.code || String(error);
    }
  });
  request.on('close', finish);
  request.end();
}

const judge = process.argv[2] === 'responses' ? judgeResponses : judgeRequests;
const cases = require('fs').readFileSync(0, 'latin1').split('\n').slice(0, -1);
let next = 0;
function judgeNext() {
  if (next === cases.length) return;
  judge(Buffer.from(cases[next++], 'base64'), (verdict) => {
    process.stdout.write(JSON.stringify(verdict) + '\n');
    setImmediate(judgeNext);
  });
}
judgeNext();
