"""Opens TLS at once, with no SSLRequest before it, and says which protocol ALPN chose.

usage: direct_tls.py HOST PORT CA [PROTOCOL]      prints the chosen protocol, or the refusal
"""
import socket, ssl, sys

host, port, ca = sys.argv[1:4]
context = ssl.create_default_context(cafile=ca)
if len(sys.argv) > 4:
    context.set_alpn_protocols([sys.argv[4]])
try:
    with socket.create_connection((host, int(port)), timeout=10) as raw, context.wrap_socket(raw, server_hostname=host) as tls:
        chosen = tls.selected_alpn_protocol()
        # a startup packet for protocol 3.0 with a user: the proxy asks for SASL
        body = b"\0\3\0\0user\0mcp-agent\0database\0clinic\0\0"
        tls.sendall((len(body) + 4).to_bytes(4, "big") + body)
        print("%s %s" % (chosen, tls.recv(1).decode("latin-1")))
except OSError as e:
    print("refused %s" % e)
