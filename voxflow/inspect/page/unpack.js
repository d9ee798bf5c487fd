"use strict";

// What is in the page: the report, and arrays as base64 of deflated bytes, which are unpacked when
// they are first looked at.

const report = JSON.parse(document.getElementById("report").textContent);
const unpacked = new Map();

function unpack(number) {
  if (!unpacked.has(number)) unpacked.set(number, inflate(document.getElementById(`blob-${number}`)));
  return unpacked.get(number);
}

async function inflate(script) {
  const text = script.textContent;
  if (!text) return new ArrayBuffer(0);
  const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}

// An element with attributes and children; text is never read as HTML.
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

function short(value) {
  if (!Number.isFinite(value)) return String(value);
  return String(Number(value.toPrecision(6)));
}
