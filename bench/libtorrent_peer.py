#!/usr/bin/env python3
"""One peer of a BitTorrent swarm, by Debian's libtorrent: what swarm_programs.cpp compares Shoal with.

    libtorrent_peer.py make FILE TORRENT            writes the torrent
    libtorrent_peer.py seed FILE TORRENT ADDRESS:PORT RATE      RATE: bytes a second, 0: no limit
    libtorrent_peer.py fetch FILE TORRENT ADDRESS:PORT PEER...  PEER: ADDRESS:PORT of the others

A seed prints "ready" when it listens. Who fetches prints "done" when the file is whole, and serves on.
Both print "sent BYTES" on SIGTERM, and end.
"""
import os
import signal
import sys

import libtorrent as lt

PIECE_BYTES = 1 << 20


def make(file, torrent):
    files = lt.file_storage()
    lt.add_files(files, file)
    made = lt.create_torrent(files, PIECE_BYTES, flags=lt.create_torrent.v1_only)
    lt.set_piece_hashes(made, os.path.dirname(file))
    with open(torrent, "wb") as out:
        out.write(lt.bencode(made.generate()))


def session_at(endpoint):
    return lt.session({
        "listen_interfaces": endpoint,
        "outgoing_interfaces": endpoint.rsplit(":", 1)[0],
        "enable_dht": False,
        "enable_lsd": False,
        "enable_upnp": False,
        "enable_natpmp": False,
        # TCP alone, as Shoal and HTTP have it: its own transport is slower on links like these.
        "enable_outgoing_utp": False,
        "enable_incoming_utp": False,
        # All are at one address on loopback.
        "allow_multiple_connections_per_ip": True,
        "alert_mask": lt.alert.category_t.status_notification,
    })


def run(mode, file, torrent, endpoint, *more):
    # Before anything else: who is told to end while it starts still says what it sent.
    ending = []
    signal.signal(signal.SIGTERM, lambda *_: ending.append(True))
    session = session_at(endpoint)
    wanted = lt.add_torrent_params()
    wanted.ti = lt.torrent_info(torrent)
    wanted.save_path = os.path.dirname(file)
    wanted.flags &= ~(lt.torrent_flags.paused | lt.torrent_flags.auto_managed)
    if mode == "seed":
        wanted.flags |= lt.torrent_flags.seed_mode
    else:
        wanted.peers = [(peer.rsplit(":", 1)[0], int(peer.rsplit(":", 1)[1])) for peer in more]
    handle = session.add_torrent(wanted)
    if mode == "seed" and int(more[0]) > 0:
        handle.set_upload_limit(int(more[0]))  # the session's own limit spares local addresses
    if mode == "seed":
        print("ready", flush=True)
    told = mode == "seed"
    while not ending:
        session.wait_for_alert(100)
        session.pop_alerts()
        if not told and handle.status().is_seeding:
            told = True
            print("done", flush=True)
    print("sent", handle.status().total_payload_upload, flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(*sys.argv[2:])
    else:
        run(*sys.argv[1:])
