-- Calls that failed, those that last did last, and whether the same process found something of that name elsewhere: a search
-- along a path of directories is no failure. A look whose answer nobody saw was at something that is there.
WITH looks AS (
  SELECT e.proc_id AS pid, s.name AS name, s.retno AS retno, s.id AS id, e.time_ms AS at,
    coalesce(guest_path(s.arg0_repr, s.arg1_repr, s.arg2_repr, s.arg3_repr), '') AS path,
    s.arg0_repr AS first, s.arg1_repr AS second,
    CASE WHEN s.name LIKE 'sys_open%' OR s.name = 'sys_ioctl' THEN s.arg2_repr ELSE '' END AS third
  FROM syscall AS s JOIN event AS e USING (id)
), named AS (
  SELECT *, replace(path, rtrim(path, replace(path, '/', '')), '') AS base FROM looks
), found AS (
  SELECT DISTINCT pid, base FROM named
  WHERE base <> '' AND (retno >= 0 OR retno IS NULL) AND name <> 'sys_connect'
)
SELECT pid, name, retno, path, count(*), min(at), max(at), max(id),
  name NOT IN ('sys_connect', 'sys_bind') AND (pid, base) IN (SELECT pid, base FROM found),
  first, second, third
FROM named
WHERE retno < 0
GROUP BY pid, name, retno, path, first, second, third
ORDER BY max(id) DESC
