"""The fault matrix on real sockets: each case is named for its row.

Every test begins with its row (`test_b7_…`), or, in a table of cases, every case's id does ("A6 reset after the
headers"). So `pytest -k a6` runs a row, and `test_rows.py` sees to it that each of these has a test:

A1 refused, unreachable            test_upstream_faults.py
A3 TLS                             test_tls.py
A4 connect hangs                   test_upstream_faults.py
A5 dead reused connection          test_upstream_faults.py, test_stream_faults.py
A6 reset after the headers         likewise
A7 cut in the middle               test_stream_faults.py
A8 a clean end that is none        test_stream_faults.py
A9 silence                         test_upstream_faults.py, test_stream_faults.py
A12 5xx, A13 4xx                   likewise
A14 not the protocol               likewise
A15 forms of events                test_stream_faults.py; the law itself: tests/wire/test_sse.py
A16 compression                    test_upstream_faults.py, test_stream_faults.py; tests/wire/test_decompress.py
A17 lengths, 1xx, 204, 3xx         test_upstream_faults.py
A18 headers, A19 counts            test_upstream_faults.py
B1 who leaves                      test_client_faults.py
B2 who does not read               test_client_faults.py
B3 malformed bodies                test_client_faults.py
B4 too large, B5 too costly        test_client_faults.py
B6 heads, B7 pipelining            test_http_faults.py
B8 ambiguous framing               test_http_faults.py
B11 who is slow, B12 too many      test_http_faults.py
B14 methods and paths              test_http_faults.py
C1 SIGTERM, C2 other signals       test_client_faults.py; on a process: tests/server/test_process_end.py, …_reload.py
C3 kill -9                         test_kill.py; tests/store/test_crash.py

The bench: `upstream.py` is a provider that acts on `recipes.py`, `rawclient.py` a client that obeys nobody,
`room.py` a gateway between them in this process.
"""
