#!/usr/bin/env node
// SPDX-License-Identifier: MIT
// hello.js write NAME fills a segment from standard input, hello.js read NAME waits until it is filled and prints it;
// in any order, and also when the daemon is killed and started again meanwhile. Node cannot attach memory, so
// shmdctl copies the bytes.
'use strict';
const { spawnSync } = require('child_process');
const net = require('net');

const [verb, name, ...more] = process.argv.slice(2);
const path = process.env.SHMD_SOCKET || '/run/shmd/shmd.sock';

// The result of one request; when the connection is lost, it is asked again.
function call(method, params) {
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = net.connect(path);
    socket.write(JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }) + '\n');
    socket.on('data', (data) => {
      text += data;
      if (text.endsWith('\n')) socket.end();
    });
    socket.on('error', () => {}); // `close` comes next
    socket.on('close', () => {
      if (!text.endsWith('\n')) return setTimeout(() => call(method, params).then(resolve, reject), 100);
      const { result, error } = JSON.parse(text);
      return error ? reject(new Error(error.message)) : resolve(result);
    });
  });
}

async function main() {
  const copy = (...words) => {
    const { status, stdout, error } = spawnSync('shmdctl', words, { stdio: ['inherit', 'pipe', 'inherit'] });
    if (status !== 0) throw error || new Error('shmdctl has not copied all: the segment is not ready');
    return stdout;
  };
  if (verb === 'write') {
    const { segment } = await call('create', { name, size: 4096, exclusive: true, ready: false });
    copy('write', '--serial', segment.serial);
    await call('ready', { serial: segment.serial });
  } else {
    const { segment } = await call('wait', { name, owner: process.getuid() });
    process.stdout.write(copy('read', '--serial', segment.serial).toString().replace(/\0+$/, ''));
  }
}

if (!['write', 'read'].includes(verb) || name === undefined || more.length) {
  console.error('usage: hello.js write|read NAME');
  process.exit(2);
}
main().catch((error) => {
  console.error(`hello: ${error.message}`);
  process.exitCode = 1;
});
