from greenroom.stages.check import vault as vaults
from greenroom.stages.check.vault import MemoryVault


def test_the_same_value_keeps_its_number_and_another_gets_the_next() -> None:
    vault = MemoryVault()

    numbers = [vault.number("p", "s", "CPF", value) for value in ("a", "b", "a", "c")]

    assert numbers == [1, 2, 1, 3]
    assert vault.known("p", "s") == {"<CPF_1>": "a", "<CPF_2>": "b", "<CPF_3>": "c"}


def test_projects_sessions_and_labels_share_nothing() -> None:
    vault = MemoryVault()
    vault.number("p", "s", "CPF", "a")

    assert vault.number("q", "s", "CPF", "b") == 1
    assert vault.number("p", "t", "CPF", "b") == 1
    assert vault.number("p", "s", "EMAIL", "b") == 1
    assert vault.known("q", "t") == {}


def test_taken_masks_are_passed_over_for_new_values_only() -> None:
    vault = MemoryVault()
    vault.number("p", "s", "CPF", "a")

    assert vault.number("p", "s", "CPF", "b", {"<CPF_2>", "<CPF_3>"}) == 4
    assert vault.number("p", "s", "CPF", "a", {"<CPF_1>"}) == 1


def test_what_is_not_used_for_a_lifetime_is_forgotten() -> None:
    now = [0.0]
    vault = MemoryVault(lifetime_s=10, now=lambda: now[0])
    vault.number("p", "old", "CPF", "a")
    now[0] = 6
    vault.number("p", "new", "CPF", "a")
    now[0] = 11

    assert vault.known("p", "old") == {}
    assert vault.known("p", "new") == {"<CPF_1>": "a"}


def test_it_is_bounded_in_sessions_and_values() -> None:
    vault = MemoryVault()
    for number in range(vaults.MAX_SESSIONS + 5):
        vault.number("p", str(number), "CPF", "a")
    for number in range(vaults.MAX_VALUES + 5):
        vault.number("p", "s", "CPF", str(number))

    assert vault.known("p", "0") == {}
    assert len(vault.known("p", "s")) == vaults.MAX_VALUES
    assert vault.number("p", "s", "CPF", "new") == vaults.MAX_VALUES + 6
