"""Files as configurations: their forms, what is open in them, and every fault at once with its line."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amply_capacity.errors import BadInput
from amply_capacity.ops.audit import audit_of
from amply_capacity.ops.circumstances import circumstances_of
from amply_capacity.ops.configuration import Configuration
from amply_capacity.ops.document import read_configuration
from amply_capacity.ops.kinds import known_keys
from amply_capacity.ops.setting import Fault, Setting, Unresolved
from amply_capacity.ops.written import read_json, read_yaml

DOCUMENTS = Path(__file__).parent / "documents"
Read = Callable[..., Configuration]

CLUSTER = """CacheClusterId: one
Engine: redis
EngineVersion: 7.0
CacheNodeType: cache.t3.micro
NumCacheNodes: 1
"""


BILLION_LAUGHS = f"a: &a [{'x, ' * 9}x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n" for before, name in itertools.pairwise("abcdefg"))


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """The configuration of a text, written to a file of that name."""

    def call(text: str, name: str = "file.yaml") -> Configuration:
        path = tmp_path / name
        path.write_text(text)
        return read_configuration(path)

    return call


def found_in(configuration: Configuration) -> set[str]:
    circumstances = circumstances_of(today=date(2026, 11, 28))
    return {finding.rule for finding in audit_of(configuration, circumstances).findings}


@pytest.mark.parametrize("name", ["group.yaml", "group.tf.json"])
def test_what_only_the_deployment_knows_is_no_fault(name: str) -> None:
    assert found_in(read_configuration(DOCUMENTS / name)) == set()


@pytest.mark.parametrize(("name", "sound", "fault", "rule"), [
    ("group.yaml", "Default: cache.r7g.large", "Default: cache.r7g.huge", "unknown-node-type"),
    ("group.yaml", "Default: 10.0.0.0/8", "Default: 0.0.0.0/0", "open-security-group"),
    ("group.yaml", "        maxmemory-policy", "        appendonly: 'yes'\n        maxmemory-policy",
     "append-only-unsupported"),
    ("group.yaml", "\"{{resolve:secretsmanager:pages:SecretString:token}}\"", "a-token-in-a-template",
     "token-in-configuration"),
    ("group.yaml", "FromPort: !Ref Port", "FromPort: 6000", "open-security-group"),
    ("group.yaml", "CacheParameterGroupFamily: valkey8", "CacheParameterGroupFamily: valkey7",
     "parameter-family-mismatch"),
    ("group.tf.json", "\"cache.r7g.large\"", "\"cache.r7g.huge\"", "unknown-node-type"),
    ("group.tf.json", "\"cidr_blocks\": [\"10.0.0.0/8\"]", "\"ipv6_cidr_blocks\": [\"::/0\"]",
     "open-security-group"),
    ("group.tf.json", "\"type\": \"egress\"", "\"type\": \"ingress\"", "open-security-group"),
    ("group.tf.json", "\"maxmemory-policy\"", "\"appendonly\"", "append-only-unsupported"),
    ("group.tf.json", "\"multi_az_enabled\": true", "\"multi_az_enabled\": false",
     "failover-without-multi-az"),
    ("group.tf.json", "sun:03:00-sun:04:00", "sun:02:00-sun:03:00", "windows-overlap"),
])
def test_templates_and_terraform_are_held_against_the_same_rules(
        read: Read, name: str, sound: str, fault: str, rule: str) -> None:
    text = (DOCUMENTS / name).read_text()
    assert sound in text
    assert found_in(read(text.replace(sound, fault, 1), name)) == {rule}


def test_a_terraform_plan_is_read_with_its_modules(read: Read) -> None:
    group = {"type": "aws_elasticache_replication_group", "name": "pages", "mode": "managed", "values": {
        "engine": "redis", "engine_version": "5.0.6", "node_type": "cache.m6g.large", "num_cache_clusters": 1,
        "auth_token": None, "made_by_the_provider": 1}}
    plan = {"planned_values": {"root_module": {
        "resources": [{"type": "aws_vpc", "name": "any", "values": {}}],
        "child_modules": [{"resources": [group, {**group, "mode": "data"}]}]}}}
    configuration = read(json.dumps(plan), "plan.json")
    assert [one.name for one in configuration.caches] == ["pages"]
    assert found_in(configuration) >= {"engine-end-of-support", "not-encrypted", "snapshot-retention"}


def test_the_settings_of_a_template_keep_their_lines_and_their_text(read: Read) -> None:
    configuration = read_configuration(DOCUMENTS / "group.yaml")
    cache, = configuration.caches
    lines = (DOCUMENTS / "group.yaml").read_text().splitlines()
    assert cache.text("EngineVersion") == "8.0"
    assert lines[(cache.get("EngineVersion").line or 0) - 1].strip() == 'EngineVersion: "8.0"'
    assert cache.get("MultiAZEnabled").value == Unresolved("Fn::If")
    assert not cache.has("KmsKeyId")  # AWS::NoValue
    assert (cache.shards, cache.replicas) == (2, None)
    assert configuration.parameter_group_of(cache) is configuration.parameter_groups[0]


def test_all_faults_of_a_document_are_told_at_once_with_their_lines(read: Read) -> None:
    faulty = CLUSTER.replace("Engine: redis", "Engnie: redis\nCacheNodeType: cache.t3.small")
    text = (f"# Cache\n\n```yaml\n{faulty}"
            "SnapshotWindw: 04:00-05:00\n```\n\n```yml\nAlarmName: a\nMetricName: Evictions\nTreshold: 1\n"
              "Period: 60\nPeriod: 300\n```\n\n```python\ndef broken(:\n```\n\n```yaml\na: [1\n```\n")
    with pytest.raises(BadInput) as refusal:
        read(text, "file.md")
    told = str(refusal.value)
    for words in ("line 5: unknown key Engnie of a cluster (nearest: Engine",
                  "line 8: CacheNodeType stands twice, first on line 6",
                  "line 10: unknown key SnapshotWindw", "nearest: SnapshotWindow",
                  "line 16: unknown key Treshold of an alarm (nearest: Threshold",
                  "line 18: Period stands twice, first on line 17", "line 22: no Python", "line 27: no YAML"):
        assert words in told
    assert "has 7 faults" in told
    assert "\n" not in told


@pytest.mark.parametrize(("name", "text", "words"), [
    ("t.yaml", "AWSTemplateFormatVersion: '2010-09-09'\nResorces: {}\nResources:\n  A:\n    Type: "
     "AWS::ElastiCache::CacheCluster\n    Propertys: {}\n    Properties: {Engine: redis, NodeType: a}\n",
     ("line 2: unknown section Resorces", "line 6: unknown attribute Propertys",
      "line 7: unknown key NodeType")),
    ("t.tf.json", '{"resource": {"aws_elasticache_cluster": {"a": {"engine": "redis",\n"nodetype": 1}}},\n'
     '"varible": {}}',
     ("line 2: unknown argument nodetype", "node_type", "line 3: unknown block varible")),
    ("t.json", '{"a": 1,\n"a": 2}', ("line 2: a stands twice, first on line 1",)),
    ("t.json", '{"a": 1,\n}', ("line 2: no JSON",)),
    ("t.json", "[" * 100_000, ("nested too deep",)),
    ("t.yaml", "a: 1\n b: 2\n", ("line 2: no YAML",)),
    ("t.yaml", "a: \"\x01\"\n", ("no YAML",)),
    ("t.yaml", "? [a]\n: 1\n", ("line 1: a key has to be a text",)),
    ("t.yaml", "[" * 5_000 + "]" * 5_000, ("no configuration", "nested too deep")),
    ("t.yaml", BILLION_LAUGHS, ("more than 200,000 values",)),
    ("t.md", "```python\n\x00\n```\n", ("no Python",)),
])
def test_a_broken_file_is_refused_in_one_paragraph(
        read: Read, name: str, text: str, words: tuple[str, ...]) -> None:
    with pytest.raises(BadInput) as refusal:
        read(text, name)
    for word in words:
        assert word in str(refusal.value)
    assert len(str(refusal.value)) < 2_000


@pytest.mark.parametrize(("name", "content", "words"), [
    ("t.md", b"# Nothing\n\nAt all.\n", "holds nothing to audit"),
    ("t.yaml", b"services: {web: {image: nginx}}\n", "line 1: no resource of ElastiCache"),
    ("t.yaml", b"", "holds nothing to audit"),
    ("t.tf", b"", "terraform show -json"),
    ("t.txt", b"", "a file named *.txt"),
    ("t.md", b"\xff\xfe", "is not UTF-8 text"),
])
def test_a_file_without_a_configuration_is_refused(
        tmp_path: Path, name: str, content: bytes, words: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(BadInput, match=words.replace("*", r"\*")):
        read_configuration(path)


def test_a_file_that_is_not_there_a_directory_and_a_huge_one_are_refused(tmp_path: Path) -> None:
    huge = tmp_path / "huge.yaml"
    with huge.open("wb") as file:
        file.truncate(9 << 20)
    (tmp_path / "folder.md").mkdir()
    for path, words in ((tmp_path / "none.md", "No such file"), (tmp_path / "folder.md", "a directory"),
                        (huge, "too large")):
        with pytest.raises(BadInput, match=words):
            read_configuration(path)


def test_yaml_that_is_not_ours_is_left_out_and_named(read: Read) -> None:
    configuration = read(f"```yaml\nservices: {{web: 1}}\n```\n\n~~~yaml\n{CLUSTER}~~~\n", "file.md")
    assert [one.name for one in configuration.caches] == ["one"]
    assert configuration.not_audited == ("line 2: no resource of ElastiCache or CloudWatch",)


def test_a_block_without_a_telling_key_is_known_by_most_of_its_keys(read: Read) -> None:
    configuration = read("Engine: redis\nCacheNodeType: cache.t3.micro\nSnapshotWindow: 04:00-05:00\n")
    assert [one.kind for one in configuration.resources] == ["cluster"]


def test_json_blocks_several_documents_and_lists_hold_resources(read: Read) -> None:
    text = '```json\n{"CacheClusterId": "a",\n "Engine": "redis"}\n```\n'
    cache, = read(text, "file.md").caches
    assert (cache.name, cache.get("Engine").line) == ("a", 3)
    alarms = "- {AlarmName: x, MetricName: Evictions}\n- {AlarmName: y, MetricName: SwapUsage}\n"
    several = read(f"{CLUSTER}---\n{alarms}")
    assert [one.name for one in several.resources] == ["one", "x", "y"]


def test_memcached_is_not_audited(read: Read) -> None:
    assert found_in(read(CLUSTER.replace("redis", "memcached"))) == set()


def test_a_cluster_may_say_what_only_a_group_has_since_that_is_a_finding() -> None:
    assert known_keys("cluster") > known_keys("replication group")
    assert "CacheClusterId" not in known_keys("replication group")


@pytest.mark.parametrize(("written", "replicas", "shards"), [
    ("NumCacheClusters: 3", 2, 1),
    ("NumNodeGroups: 2\nReplicasPerNodeGroup: 1", 1, 2),
    ("NodeGroupConfiguration: [{ReplicaCount: 2}, {ReplicaCount: 1}]", 1, 2),
    ("SnapshotWindow: 02:00-03:00", 0, 1),
    ("NumCacheClusters: !Ref Count\nNumNodeGroups: !Ref Shards", None, None),
])
def test_replicas_and_shards_are_told_from_whichever_setting_has_them(
        read: Read, written: str, replicas: int | None, shards: int | None) -> None:
    cache, = read(f"ReplicationGroupId: g\nCacheNodeType: cache.t3.micro\n{written}\n").caches
    assert (cache.replicas, cache.shards) == (replicas, shards)


def test_a_text_is_a_number_a_flag_or_neither() -> None:
    assert [Setting(text).flag for text in ("yes", "True", "off", "maybe")] == [True, True, False, None]
    assert [Setting(text).number for text in ("1_000", "1e3", "nan", "inf", "x")] == [
        1000.0, 1000.0, None, None, None]
    assert (Setting(None).items, Setting("a").items, Setting("a").entries) == ((), (Setting("a"),), {})


KEYS = st.text(st.characters(codec="ascii", min_codepoint=33), min_size=1, max_size=8)
SCALARS = st.text(st.characters(blacklist_categories=["Cs"]), max_size=8) | st.integers() | st.booleans()


VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
    KEYS, inner, max_size=4), max_leaves=20)


@given(VALUES)
def test_what_json_says_is_read_as_it_is_said(value: object) -> None:
    faults: list[Fault] = []
    found = read_json(json.dumps(value, indent=1), faults)
    assert faults == []
    assert [_plain(one) for one in found] == [_texts(value)]


def _plain(setting: Setting) -> object:
    if isinstance(setting.value, tuple):
        return [_plain(one) for one in setting.value]
    return {key: _plain(one) for key, one in setting.entries.items()} if not isinstance(
        setting.value, str) else setting.value


def _texts(value: object) -> object:
    if isinstance(value, dict):
        return {key: _texts(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_texts(one) for one in value]
    return str(value).lower() if isinstance(value, bool) else str(value)


@given(st.text(max_size=200))
def test_no_text_breaks_the_readers(text: str) -> None:
    for read in (read_yaml, read_json):
        faults: list[Fault] = []
        read(text, faults)
        assert all(fault.line >= 1 and fault.what for fault in faults)
