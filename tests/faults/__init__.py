"""The fault matrix: each case is named for its row. `docs/faults.md` says what an operator sees in each.

Every test begins with its row (`test_b7_…`), or, in a table of cases, every case's id does ("A6 reset after the
headers"). So `pytest -k a6` runs a row, `make faults` prints them all, and `test_rows.py` sees to it that each of
these has a test:

A1 refused or unreachable          test_upstream_faults.py
A2 names unknown or slow           test_slow_faults.py
A3 TLS                             test_tls.py
A4 connect hangs                   test_upstream_faults.py
A5 dead reused connection          test_upstream_faults.py, test_stream_faults.py
A6 reset after the headers         likewise
A7 cut in the middle               test_stream_faults.py
A8 a clean end that is none        test_stream_faults.py
A9 silence                         test_upstream_faults.py, test_stream_faults.py
A10 byte by byte                   test_slow_faults.py
A11 429 and when to come back      test_retries.py
A12 5xx and what passes            test_retries.py, test_upstream_faults.py, test_stream_faults.py
A13 4xx                            test_upstream_faults.py, test_stream_faults.py
A14 not the protocol               likewise; keys that stand twice: test_tool_call_faults.py
A15 forms of events                test_stream_faults.py; the law itself: tests/wire/test_sse.py
A16 compression                    test_upstream_faults.py, test_stream_faults.py; tests/wire/test_decompress.py
A17 lengths and odd statuses       test_upstream_faults.py
A18 headers                        test_upstream_faults.py
A19 counts                         test_upstream_faults.py
A20 tool calls                     test_tool_call_faults.py
A21 an answer before the body's end  test_slow_faults.py
A22 flapping target                test_retries.py
B1 who leaves                      test_client_faults.py
B2 who does not read               test_client_faults.py
B3 malformed bodies                test_client_faults.py, test_tool_call_faults.py
B4 too large                       test_client_faults.py
B5 too costly                      test_client_faults.py
B6 heads                           test_http_faults.py
B7 pipelining                      test_http_faults.py
B8 ambiguous framing               test_http_faults.py
B9 Unicode                         test_text_bombs.py
B10 patterns that explode          test_text_bombs.py
B11 who is slow                    test_http_faults.py
B12 too many connections           test_http_faults.py
B13 who asks again                 test_repeats.py
B14 methods and paths              test_http_faults.py
C1 SIGTERM                         test_client_faults.py; on a process: tests/server/test_process_end.py
C2 other signals                   likewise, and tests/server/test_process_reload.py
C3 kill -9                         test_kill.py; tests/store/test_crash.py
C4 disk full                       test_store_faults.py
C5 failing operations              test_store_faults.py
C6 locked stores                   test_store_faults.py
C7 damaged stores                  test_store_faults.py
C10 clocks that jump               test_process_faults.py
C11 reload under load              test_process_faults.py; tests/server/test_process_reload.py
C12 too little of the machine      test_process_faults.py
C13 crashes inside                 test_process_faults.py

The bench: `upstream.py` is a provider that acts on `recipes.py`, `rawclient.py` a client that obeys nobody,
`room.py` a gateway between them in this process, `oracle.py` the eight invariants that a room asserts when it is
left. `virtual.py` is time that jumps and connections in memory, on which `scenarios.py` plays random faults.
"""
