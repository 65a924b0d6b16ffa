// One handshake by a Modbus client from npm: node handshake.js PACKAGE PORT NUMBER
"use strict";

const net = require("node:net");
const [kind, port, number] = process.argv.slice(2);
const ENABLE = 1, TRIGGER = 2, ACK = 4, READY = 1, VALID = 8;

async function modbusSerial() {
  const Client = require("modbus-serial");
  const client = new Client();
  await client.connectTCP("127.0.0.1", { port: Number(port) });
  client.setID(1);
  client.setTimeout(5000);
  return {
    write: (address, values) => client.writeRegisters(address, values),
    read: async () => (await client.readInputRegisters(0, 72)).data,
    close: () => client.close(() => {}),
  };
}

async function jsmodbus() {
  const { client: { TCP } } = require("jsmodbus");
  const socket = new net.Socket();
  const client = new TCP(socket, 1, 5000);
  await new Promise((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("error", reject);
    socket.connect({ host: "127.0.0.1", port: Number(port) });
  });
  return {
    write: (address, values) => client.writeMultipleRegisters(address, values),
    read: async () => (await client.readInputRegisters(0, 72)).response.body.valuesAsArray,
    close: () => socket.end(),
  };
}

async function until(plc, met) {
  const end = Date.now() + 10000;
  for (;;) {
    const words = await plc.read();
    if (met(words[0])) return words;
    if (Date.now() > end) throw new Error(`status stayed ${words[0]}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function main() {
  const plc = await (kind === "jsmodbus" ? jsmodbus() : modbusSerial());
  const part = Buffer.alloc(32);
  part.write("NODE", "ascii");
  const letters = Array.from({ length: 16 }, (_, i) => part.readUInt16BE(i * 2));
  await plc.write(0, [ENABLE]);
  await until(plc, (status) => status & READY);
  await plc.write(0, [ENABLE | TRIGGER, Number(number), 0, 0, 0, 0, 0, 0, ...letters]);
  const words = Array.from(await until(plc, (status) => status & VALID));
  await plc.write(0, [ENABLE]);
  await plc.write(0, [ENABLE | ACK]);
  await until(plc, (status) => !(status & VALID));
  await plc.write(0, [ENABLE]);
  const echo = Buffer.alloc(32);
  words.slice(40, 56).forEach((word, i) => echo.writeUInt16BE(word, i * 2));
  console.log(JSON.stringify({
    n: words[2], decision: words[3], status: words[0],
    part: echo.toString("ascii").replace(/\0+$/, ""),
  }));
  plc.close();
}

main().catch((error) => { console.error(error); process.exit(1); });
