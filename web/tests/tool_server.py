"""An MCP server over HTTP with one tool, `weather`, whose calls it counts."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOOL = {
    "name": "weather",
    "description": "The weather of a place.",
    "inputSchema": {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]},
}


class ToolServer:
    def __init__(self) -> None:
        self.calls: list[dict] = []
        self.output = "Rain in the afternoon."
        own = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                self.reply(405, b"")

            def do_DELETE(self) -> None:
                self.reply(200, b"")

            def do_POST(self) -> None:
                message = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))))
                if "id" not in message:
                    return self.reply(202, b"")
                result = own.answer(message)
                self.reply(200, json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}).encode())

            def reply(self, status: int, data: bytes) -> None:
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/mcp"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def answer(self, message: dict) -> dict:
        if message["method"] == "initialize":
            asked = message["params"]["protocolVersion"]
            return {"protocolVersion": asked, "capabilities": {"tools": {}}, "serverInfo": {"name": "weather", "version": "1"}}
        if message["method"] == "tools/list":
            return {"tools": [TOOL]}
        if message["method"] == "tools/call":
            self.calls.append(message["params"])
            return {"content": [{"type": "text", "text": self.output}]}
        return {}
