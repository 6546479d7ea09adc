"""What every film format promises, and how one is chosen by name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from hal.base import BadInput, HalError, StateError, StorageError, get_logger
from hal.frames import FrameInfo, Pixels
from hal.storage._arrangement import Arrangement, arrangement
from hal.storage._output import Output
from hal.storage._output_file import OutputFile, storage_error
from hal.storage.description import FilmDescription
from hal.storage.disk import film_bytes


class FrameWriter(ABC):
    """Writes the film of one camera: `open`, `append` each frame, `finish`.

    Runs on: worker, one thread at a time.

    Guarantees:
        An existing file is never changed, unless `overwrite`; then the old one goes
        when the first new frame is stored, not before.
        When `append` returns, the frame is stored: the kernel has it, and a SIGKILL of
        this process leaves it readable by the format's usual readers.
        When `append` raises, the files hold exactly the frames stored before, are
        readable, and the same frame may be tried again (after making space).
        They are readable at every moment, also while a frame is taken back.
        A film that ends without a single frame leaves no file.
    """

    format: ClassVar[str]
    """Name users type."""
    suffixes: ClassVar[tuple[str, ...]]
    """Ending of each file of a film; the first is the one with the pixels."""
    dtypes: ClassVar[tuple[str, ...]]
    """Pixel types that can be written."""

    def __init__(
        self, base_path: Path, description: FilmDescription, *, overwrite: bool = False
    ) -> None:
        """Touch no file yet.

        Args:
            base_path: Folder and name; the format adds its suffixes.
            description: What goes into the file.
            overwrite: Whether files of that name may be replaced.

        Raises:
            BadInput: The format has no such pixels.
        """
        if description.dtype not in self.dtypes:
            raise BadInput(
                f"camera '{description.camera}': {self.format} has no pixels of type "
                f"{description.dtype}; expected one of {', '.join(self.dtypes)}"
            )
        self.description = description
        self._dtype = np.dtype(description.dtype)
        self._files: tuple[OutputFile, ...] = ()
        paths = [base_path.with_name(base_path.name + end) for end in self.suffixes]
        self._outputs = self._make_outputs(paths, overwrite=overwrite)
        self._stored = 0
        self._is_open = False
        self._may_take_back = False
        self._log = get_logger(module="storage")

    @property
    def files(self) -> tuple[Path, ...]:
        """The files (or folder) of the film, the one with the pixels first."""
        return tuple(output.path for output in self._outputs)

    @property
    def is_placed(self) -> bool:
        """Whether all files have their names: not while they may replace others."""
        return all(output.is_placed for output in self._outputs)

    @classmethod
    def size_bytes(cls, shape: tuple[int, int], dtype: str, frames: int) -> int:
        """Return how much room a film takes on a disk, to about 1 %."""
        return film_bytes(shape, dtype, frames)

    @property
    def stored(self) -> int:
        """Frames stored so far."""
        return self._stored

    def open(self) -> None:
        """Create the files.

        Raises:
            OutputExists: One of them exists, and `overwrite` is not set.
            DiskFull, StorageError: They cannot be created; nothing is left behind.
        """
        created: list[Output] = []
        try:
            for output in self._outputs:
                output.create()
                created.append(output)
            self._do_open()
        except (OSError, HalError) as exc:
            for output in created:
                output.discard()
            if isinstance(exc, OSError):
                raise self._error(exc, "create it") from exc
            raise
        self._is_open = True

    def reopen(self) -> str:
        """Open what a killed writer left: whole frames stay, `append` goes on.

        What an unfinished frame left is removed, and what tells readers the number of
        frames is put right. Frames whose file was cut off or overwritten since are for
        the verification to find; a file this writer cannot have left is not touched.

        Returns:
            What was changed, in words; empty if nothing had to be.

        Raises:
            StorageError: The file is missing or is no such film; nothing has changed.
        """
        opened: list[Output] = []
        try:
            for number, output in enumerate(self._outputs):
                # Only pixels cannot be made again.
                output.reopen(make=number > 0)
                opened.append(output)
            changes = self._do_reopen()
        except (OSError, StorageError) as exc:
            for output in opened:
                output.close()
            if isinstance(exc, OSError):
                raise self._error(exc, "open it again") from exc
            raise
        self._is_open = True
        self._may_take_back = self._stored > 0
        return "; ".join(changes)

    def append(self, pixels: Pixels, info: FrameInfo) -> None:
        """Store one frame; when it returns, the frame is in the kernel's hands.

        Raises:
            DiskFull: No space; what was stored before is readable.
            StorageError: The system refused otherwise, or the frame does not belong to
                this film; what was stored before is readable.
            StateError: Not open.
        """
        self.store(pixels, info)
        try:
            self.take_place()
        except StorageError:
            self._step_back()
            self._undo()
            raise

    def store(self, pixels: Pixels, info: FrameInfo) -> None:
        """As `append`, but the file of an old film of that name stays.

        For a film in several formats (see `store_frame`), until all have its first
        frame.
        """
        if not self._is_open:
            raise StateError(f"{self.files[0]}: not open for frames")
        if pixels.shape != self.description.shape or pixels.dtype != self._dtype:
            raise StorageError(
                f"{self.files[0]}: frame {info.index} is {pixels.shape} "
                f"{pixels.dtype}, but the film is {self.description.shape} "
                f"{self._dtype}"
            )
        self._may_take_back = False
        try:
            self._do_append(np.ascontiguousarray(pixels), info)
        except OSError as exc:
            self._undo()
            raise self._error(exc, f"write frame {info.index}") from exc
        self._stored += 1
        self._may_take_back = True

    def take_place(self) -> None:
        """Replace an old film of that name, if there is one; after the first frame.

        Raises:
            StorageError: The system refused.
        """
        if self._stored != 1:
            return
        try:
            for output in self._outputs:
                output.take_place()
        except OSError as exc:
            self._stored = 0  # no frame of a film counts that has not its name
            error = self._error(exc, "take the place of the old film")
            self._stored = 1
            raise error from exc

    def take_back(self) -> None:
        """Remove the frame stored last, once: the files are as if it had not come.

        Raises:
            StorageError: The system refused; the frame may still be in the files, but
                the next one would be written over it.
            StateError: Not open, or there is no such frame.
        """
        if not self._is_open or not self._may_take_back:
            raise StateError(f"{self.files[0]}: there is no frame to take back")
        self._step_back()
        try:
            self._do_undo()
        except OSError as exc:
            raise self._error(exc, f"take frame {self._stored} back") from exc

    def sync(self) -> None:
        """Return when all frames stored so far survive a power cut; may take seconds.

        Raises:
            StorageError: The device did not take them.
        """
        try:
            self._do_sync()
        except OSError as exc:
            raise self._error(exc, "bring it to the device") from exc

    def arrange(
        self,
        frames: Iterable[int],
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """Give a finished film the axes of its plan, as far as it fills them.

        Nothing changes if it has no layout, or the format no axes. The file is whole
        and readable throughout; `reopen` undoes it.

        Args:
            frames: Index in the run of each frame stored.
            should_stop: Asked now and then; True leaves all along one axis.

        Raises:
            StorageError: The system refused; all lies along one axis, as before.
        """
        shares = arrangement(self.description.layout, frames)
        if shares is None or shares.whole + shares.rest != self._stored:
            return
        try:
            for output in self._outputs:
                output.reopen()
            self._do_arrange(shares, should_stop)
        except OSError as exc:
            raise self._error(exc, "give it its axes") from exc
        finally:
            for output in self._outputs:
                output.close()

    def finish(self) -> None:
        """Close the files, complete; harmless when repeated.

        Raises:
            StorageError: The system reported a late failure.
        """
        self._is_open = False
        failed: OSError | None = None
        for output in self._outputs:
            try:
                if self._stored:
                    output.close()
                elif output.is_open:
                    output.discard()
            except OSError as exc:
                failed = exc
        if failed is not None:
            raise self._error(failed, "close it") from failed

    def leave(self) -> None:
        """Close the files as they are, also those without a frame.

        Raises:
            StorageError: The system reported a late failure.
        """
        self._is_open = False
        try:
            for output in self._outputs:
                output.close()
        except OSError as exc:
            raise self._error(exc, "close it") from exc

    def remove_replacement(self) -> None:
        """Remove what was to replace a film and never did; the writer is not open.

        Raises:
            StorageError: The system refused.
        """
        try:
            for output in self._outputs:
                output.remove_replacement()
        except OSError as exc:
            raise self._error(exc, "remove its replacement") from exc

    def abort(self) -> None:
        """Close whatever is open after a failure; what is stored stays readable.

        Never raises: a failure to close is logged, because the caller already has an
        error to report.
        """
        try:
            self.finish()
        except StorageError as exc:
            self._log.warning("film not closed cleanly", error=exc.text)

    def _step_back(self) -> None:
        self._may_take_back = False
        self._stored -= 1
        self._do_step_back()

    def _undo(self) -> None:
        """Bring the files back to the frames stored, as well as the system lets us."""
        try:
            self._do_undo()
        except OSError as exc:
            # Harmless: readers go by the count and the links, and the next frame is
            # written over the remains.
            self._log.warning(
                "remains of a frame left in file",
                file=str(self.files[0]),
                error=str(exc),
            )

    def _error(self, exc: OSError, doing: str) -> StorageError:
        return storage_error(exc, self.files[0], doing, self._stored)

    def _make_outputs(
        self, paths: Sequence[Path], *, overwrite: bool
    ) -> tuple[Output, ...]:
        """Return what is written to; plain files unless a format says otherwise."""
        self._files = tuple(OutputFile(path, overwrite=overwrite) for path in paths)
        return self._files

    def _do_sync(self) -> None:
        """Have the device store all that was written; may raise OSError."""
        for output in self._outputs:
            output.sync()

    @abstractmethod
    def _do_arrange(self, shares: Arrangement, should_stop: Callable[[], bool]) -> None:
        """Share the frames out, or leave all as it is; may raise OSError."""

    @abstractmethod
    def _do_open(self) -> None:
        """Write what stands before the first frame; may raise OSError."""

    @abstractmethod
    def _do_reopen(self) -> list[str]:
        """Count the whole frames into `_stored`, remove what is left of another.

        Returns what was changed; may raise OSError, or StorageError before any change.
        """

    @abstractmethod
    def _do_append(self, pixels: Pixels, info: FrameInfo) -> None:
        """Write one frame (contiguous, checked) so that it counts last; OSError."""

    @abstractmethod
    def _do_step_back(self) -> None:
        """Go back to the positions before the last frame; nothing is written."""

    @abstractmethod
    def _do_undo(self) -> None:
        """Remove what stands behind the stored frames; may raise OSError.

        In the reverse order of `_do_append`, so that readers find whole frames between
        any two writes: first what makes the frame count, then its pixels.
        """


def store_frame(
    writers: Sequence[FrameWriter],
    pixels: Pixels,
    info: FrameInfo,
    on_problem: Callable[[StorageError], None],
    *,
    before_placing: Callable[[], None] = lambda: None,
) -> None:
    """Store one frame of a film in all its formats, or in none.

    Args:
        writers: One for each format.
        pixels: The frame.
        info: What belongs to it.
        on_problem: Told of each format that has it and will not let it go.
        before_placing: Called when all have it, before old files are replaced; what it
            raises makes the frame not stored.

    Raises:
        DiskFull, StorageError: As `FrameWriter.append`, of the first that failed.
    """
    stored: list[FrameWriter] = []
    try:
        for writer in writers:
            writer.store(pixels, info)
            stored.append(writer)
        before_placing()
        for writer in writers:
            writer.take_place()
    except BaseException:
        for writer in stored:
            try:
                writer.take_back()
            except StorageError as exc:
                on_problem(exc)
        raise
