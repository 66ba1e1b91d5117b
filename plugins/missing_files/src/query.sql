-- Paths that were not found, those looked for most often first. -2 is ENOENT on every architecture.
SELECT path, count(*) AS hits, json_group_array(DISTINCT procname) AS callers, count(*) OVER () AS total
FROM (
  SELECT guest_path(s.arg0_repr, s.arg1_repr, s.arg2_repr, s.arg3_repr) AS path, e.procname AS procname
  FROM syscall AS s JOIN event AS e ON e.id = s.id
  WHERE s.retno = -2
    -- A program is known by argv[0]: a bare name or a path.
    AND (:procname IS NULL OR e.procname = :procname OR e.procname = :base OR (:bare AND substr(e.procname, -length(:suffix)) = :suffix))
)
WHERE path IS NOT NULL AND path <> ''
GROUP BY path
ORDER BY hits DESC, path
