import pytest

from napari_cosdd.host_memory import free_host_bytes, rooms_of_groups


def group(folder, limit, use, cached, *, version):
    folder.mkdir(parents=True, exist_ok=True)
    names = ("memory.max", "memory.current", "inactive_file")
    if version == 1:
        names = (
            "memory.limit_in_bytes",
            "memory.usage_in_bytes",
            "total_inactive_file",
        )
    (folder / names[0]).write_text(f"{limit}\n")
    (folder / names[1]).write_text(f"{use}\n")
    (folder / "memory.stat").write_text(f"anon 1\n{names[2]} {cached}\n")


@pytest.mark.parametrize("version", [1, 2])
def test_the_limits_of_a_job_and_of_its_node_count(tmp_path, version):
    root = tmp_path / "cgroup"
    mount = root / "memory" if version == 1 else root
    group(mount / "node/job", 1000, 700, 100, version=version)
    group(mount / "node", 5000, 4900, 50, version=version)
    membership = tmp_path / "membership"
    controllers = "cpu,memory" if version == 1 else ""
    membership.write_text(f"3:pids:/other\n2:{controllers}:/node/job\n")
    assert sorted(rooms_of_groups(root, membership)) == [150, 400]


def test_in_a_container_the_limit_is_at_the_mount(tmp_path):
    group(tmp_path / "cgroup", 3000, 1000, 0, version=2)
    membership = tmp_path / "membership"
    membership.write_text("0::/path/on/the/host\n")
    assert list(rooms_of_groups(tmp_path / "cgroup", membership)) == [2000]


def test_no_limit_is_none(tmp_path):
    group(tmp_path / "cgroup", "max", 1000, 0, version=2)
    membership = tmp_path / "membership"
    membership.write_text("0::/\n")
    assert list(rooms_of_groups(tmp_path / "cgroup", membership)) == []
    assert list(rooms_of_groups(tmp_path, tmp_path / "missing")) == []
    assert free_host_bytes() > 0
