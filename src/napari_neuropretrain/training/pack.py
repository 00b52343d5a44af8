"""The job ``pack``: a derivatives folder becomes a store, or more of one."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from napari_neuropretrain.config.options.sources import CohortOptions
from napari_neuropretrain.config.packing import PackConfig
from napari_neuropretrain.data.cohort import Cohort, Scan
from napari_neuropretrain.data.store import FOLDER, open_store, read_place
from napari_neuropretrain.data.store_files import StoreFiles
from napari_neuropretrain.data.store_index import Rows, StoreHeader
from napari_neuropretrain.data.store_writer import StoreWriter, remove_store
from napari_neuropretrain.errors import CohortError, ImageError
from napari_neuropretrain.preprocessing.packing import (
    ShardTask,
    hash_tables,
    pack_shards,
)
from napari_neuropretrain.progress import Failure, Outcome, Progress, Report
from napari_neuropretrain.training.cohort_source import open_cohort
from napari_neuropretrain.training.pack_plan import (
    PackPlan,
    place_below,
    plan_packing,
    table_columns,
)


def pack(config: PackConfig, report: Report) -> Outcome:
    """Pack the scans of a cohort that a store lacks; bad ones are listed.

    Parameters
    ----------
    config
        Settings of the job.
    report
        Hears how far it is; raises `Cancelled` to stop. What is packed is kept.

    Raises
    ------
    CohortError
        If there are no preprocessed scans, or none can be packed.
    ConfigError, ContractError
        If the store that is there was packed in another way.
    MissingDependencyError
        If the kind of storage needs a package that is not installed.
    """
    files = StoreFiles(config.url or str((config.output / FOLDER).absolute()))
    opened = open_cohort(CohortOptions(path=config.input, memory_gib=0), report)
    if config.overwrite:
        remove_store(files)
    wanted = StoreHeader(
        precision=config.precision,
        contract=opened.contract,
        volumes_per_shard=config.volumes_per_shard,
    )
    return Packing(StoreWriter(files, wanted), opened.cohort).run(config, report)


class Packing:
    """One run: a store, and the cohort that goes into it."""

    def __init__(self, writer: StoreWriter, cohort: Cohort) -> None:
        self.writer = writer
        self.scans = cohort.scans
        self.problems = cohort.problems
        root = Path(cohort.root).absolute()
        self.folder = root.parent if root.is_file() else root
        known = zip(writer.header.roots, writer.header.tables, strict=True)
        self.tables = dict(known) | {str(self.folder): hash_tables(self.folder)}
        self.roots = tuple(self.tables)
        self.root = self.roots.index(str(self.folder))

    def run(self, config: PackConfig, report: Report) -> Outcome:
        """Pack what is missing, and write the index."""
        plan = plan_packing(self.writer.rows, self.scans, self.root, self.roots)
        if config.verify:
            plan = self._without_damaged(plan, report)
        added, failures = self._pack(plan.todo, config.workers, report)
        rows = Rows.join([self.writer.rows.take(plan.kept), *added])
        if not len(rows):
            reasons = "; ".join(one.reason for one in failures[:3])
            raise CohortError(f"None of the {len(self.scans)} scans fits: {reasons}")
        rows = place_below(rows, self.scans, self.folder, self.root)
        rows = rows.take(np.argsort(rows.keys, kind="stable"))
        self._finish(rows, report)
        return self._outcome(rows, plan, (*self.problems, *failures), report)

    def _without_damaged(self, plan: PackPlan, report: Report) -> PackPlan:
        """Read what is kept; what cannot be read is to be packed again."""
        rows, sound = self.writer.rows, []
        keys, own = rows.keys.tolist(), {scan.key for scan in self.scans}
        damaged = set()
        for step, row in enumerate(plan.kept):
            report(Progress("step", "" if step else "Verifying", step, len(plan.kept)))
            key = keys[row].decode()
            try:
                if key in own:
                    read_place(self.writer.files, self.writer.header, rows.places[row])
                sound.append(row)
            except ImageError as error:
                damaged.add(key)
                report(Progress("warning", f"{key} is packed again: {error}."))
        again = [scan for scan in self.scans if scan.key in damaged]
        todo = (*plan.todo, *again)
        return PackPlan(np.array(sound, np.int64), todo, plan.dropped)

    def _pack(
        self, scans: Sequence[Scan], workers: int, report: Report
    ) -> tuple[list[Rows], list[Failure]]:
        """Write shards; returns their rows, and the scans that failed."""
        room, first = self.writer.header.volumes_per_shard, self.writer.next_shard
        header = self.writer.header
        tasks = [
            ShardTask(
                self.writer.files,
                header,
                first + number,
                self.folder,
                self.root,
                tuple(scans[start : start + room]),
            )
            for number, start in enumerate(range(0, len(scans), room))
        ]
        done = 0

        def tell() -> None:
            nonlocal done
            done += 1
            message = "Packing" if done == 1 else ""
            report(Progress("step", message, done, len(scans)))

        added, failures = [], []
        with closing(pack_shards(tasks, workers, tell)) as shards:
            for shard in shards:
                added.append(shard.rows)
                for failure in shard.failures:
                    failures.append(failure)
                    text = f"{failure.item}: {failure.reason}"
                    report(Progress("item_failed", text))
        return added, failures

    def _finish(self, rows: Rows, report: Report) -> None:
        keys = [key.decode() for key in rows.keys.tolist()]
        columns, left_out = table_columns(keys, self.scans, self._texts_before())
        for name in left_out:
            message = f"Column '{name}' has long texts; the store does without it."
            report(Progress("warning", message))
        places = rows.places["shard"]
        shards = max(self.writer.next_shard, int(places.max()) + 1)
        self.writer.finish(rows, shards, self.tables, columns)

    def _texts_before(self) -> dict[str, dict[str, str]]:
        """Return the table of scans of other cohorts, as the old index has it."""
        if not self.writer.header.token:
            return {}
        store = open_store(self.writer.files.url)
        keys = store.rows().keys.tolist()
        table = {}
        for name in store.header.columns:
            column = store.column(name)
            texts = [word.decode() for word in column.words[column.codes].tolist()]
            by_key = zip((key.decode() for key in keys), texts, strict=True)
            table[name] = dict(by_key)
        return table

    def _outcome(
        self,
        rows: Rows,
        plan: PackPlan,
        failures: tuple[Failure, ...],
        report: Report,
    ) -> Outcome:
        url, mib = self.writer.files.url, int(rows.places["bytes"].sum()) / 2**20
        message = f"{len(rows)} volumes in '{url}', {mib:.0f} MiB"
        message += f" ({len(plan.kept)} were there before" if len(plan.kept) else ""
        message += ")." if len(plan.kept) else "."
        if plan.dropped:
            message += f" {plan.dropped} are no longer in the cohort and left out."
        report(Progress("result", message, values={"kind": "store", "path": url}))
        return Outcome(message, failures, {"store": url})
